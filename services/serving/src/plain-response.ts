import { target } from '@plateau/contracts'
import { unavailable } from './request-errors.js'
import type { Round } from './response.js'

/** One response without a draft: the target decodes on its own, with no round trip per token. */
export async function* plainResponse(tokens: AsyncIterable<target.GenerateResponse>): AsyncGenerator<Round> {
  for await (const { tokenId, finishReason: finish, logprobs } of tokens) {
    const scored = logprobs === undefined ? {} : { logprobs: [logprobs] }
    yield { tokens: [tokenId], source: 'none', proposed: 0, accepted: 0, judged: 0, alpha: [], finish, ...scored }
    if (finish !== target.FinishReason.FINISH_REASON_UNSPECIFIED) return
  }
  throw unavailable('the target ended the response before it was finished')
}
