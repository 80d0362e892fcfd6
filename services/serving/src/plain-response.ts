import { target } from '@plateau/contracts'
import { unavailable } from './request-errors.js'
import type { Round } from './response.js'

/**
 * One response without a draft: the target decodes on its own, with no round trip per token. The last token waits for the end
 * of the call: a client that leaves before it resets the stream, and a server that sees many resets closes the connection.
 */
export async function* plainResponse(tokens: AsyncIterable<target.GenerateResponse>): AsyncGenerator<Round> {
  let last: Round | undefined
  for await (const { tokenId, finishReason: finish, logprobs } of tokens) {
    const scored = logprobs === undefined ? {} : { logprobs: [logprobs] }
    const round = { tokens: [tokenId], proposed: 0, accepted: 0, judged: 0, alpha: [], finish, ...scored }
    if (finish === target.FinishReason.FINISH_REASON_UNSPECIFIED) yield { source: 'none', ...round }
    else last = { source: 'none', ...round }
  }
  if (last === undefined) throw unavailable('the target ended the response before it was finished')
  yield last
}
