import { target } from '@plateau/contracts'
import type { IncrementalDecoder } from '@plateau/model-files'
import type { Round } from './response.js'
import { StopScanner } from './stop-scanner.js'

export type FinishReason = 'stop' | 'length'

/** The text that one round made certain; may be empty. */
export interface Piece {
  readonly text: string
  readonly tokenIds: readonly number[]
  /** Set in the last piece. */
  readonly finish: FinishReason | undefined
}

const { FINISH_REASON_STOP, FINISH_REASON_LENGTH } = target.FinishReason

/**
 * Rounds as text. A character that is spread over tokens comes when it is whole; a stop string ends the response, and
 * neither it nor anything after it is emitted. Tokens after the one that completed it are not counted.
 */
export async function* textPieces(
  rounds: AsyncIterable<Round>,
  decoder: IncrementalDecoder,
  stops: readonly string[],
): AsyncGenerator<Piece> {
  const scanner = new StopScanner(stops)
  for await (const round of rounds) {
    let text = ''
    for (const [i, token] of round.tokens.entries()) {
      // The token that ended the response at the target is a stop sign, not text.
      const stopSign = round.finish === FINISH_REASON_STOP && i === round.tokens.length - 1
      const found = scanner.push(stopSign ? '' : decoder.push(token))
      text += found.text
      if (found.stopped) return yield { text, tokenIds: round.tokens.slice(0, i + 1), finish: 'stop' }
    }
    const finish = finishOf(round)
    if (finish === undefined) {
      yield { text, tokenIds: round.tokens, finish }
      continue
    }
    const last = scanner.push(decoder.flush())
    text += last.stopped ? last.text : last.text + scanner.flush()
    return yield { text, tokenIds: round.tokens, finish: last.stopped ? 'stop' : finish }
  }
}

function finishOf({ finish }: Round): FinishReason | undefined {
  if (finish === FINISH_REASON_STOP) return 'stop'
  return finish === FINISH_REASON_LENGTH ? 'length' : undefined
}
