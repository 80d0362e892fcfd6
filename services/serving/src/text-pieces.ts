import { PlateauError, target } from '@plateau/contracts'
import type { IncrementalDecoder } from '@plateau/model-files'
import type { Round } from './response.js'
import { ScoredTokens, type ScoredToken } from './scored-tokens.js'
import { StopScanner } from './stop-scanner.js'

export type FinishReason = 'stop' | 'length'

/** The text that one round made certain; may be empty. */
export interface Piece {
  readonly text: string
  readonly tokenIds: readonly number[]
  /** The tokens that this text begins, where log probabilities are wanted; the token that ended the response is none. */
  readonly scored: readonly ScoredToken[]
  /** Set in the last piece. */
  readonly finish: FinishReason | undefined
}

export interface PieceOptions {
  readonly stops: readonly string[]
  readonly logprobs: boolean
}

const { FINISH_REASON_STOP, FINISH_REASON_LENGTH } = target.FinishReason

/**
 * Rounds as text. A character that is spread over tokens comes when it is whole; a stop string ends the response, and
 * neither it nor anything after it is emitted. Tokens after the one that completed it are not counted. Throws
 * TARGET_WITHOUT_LOGPROBS when they are wanted and a round has none.
 */
export async function* textPieces(
  rounds: AsyncIterable<Round>,
  decoder: IncrementalDecoder,
  { stops, logprobs }: PieceOptions,
): AsyncGenerator<Piece> {
  const scanner = new StopScanner(stops)
  const scored = new ScoredTokens()
  for await (const round of rounds) {
    let text = ''
    for (const [i, token] of round.tokens.entries()) {
      // The token that ended the response at the target is a stop sign, not text.
      const stopSign = round.finish === FINISH_REASON_STOP && i === round.tokens.length - 1
      const decoded = stopSign ? '' : decoder.push(token)
      if (logprobs && !stopSign) scored.token(token, logProbsAt(round, i))
      scored.decoded(decoded)
      const found = scanner.push(decoded)
      text += found.text
      if (!found.stopped) continue
      return yield { text, tokenIds: round.tokens.slice(0, i + 1), scored: scored.shown(text), finish: 'stop' }
    }
    const finish = finishOf(round)
    if (finish === undefined) {
      yield { text, tokenIds: round.tokens, scored: scored.shown(text), finish }
      continue
    }
    const rest = decoder.flush()
    scored.decoded(rest)
    const last = scanner.push(rest)
    text += last.stopped ? last.text : last.text + scanner.flush()
    const shown = scored.shown(text)
    const [reason, after] = last.stopped ? (['stop', []] as const) : ([finish, scored.rest()] as const)
    return yield { text, tokenIds: round.tokens, scored: [...shown, ...after], finish: reason }
  }
}

function logProbsAt({ logprobs }: Round, index: number): target.TokenLogProbs {
  const found = logprobs?.[index]
  if (found !== undefined) return found
  const message =
    'the target sent no log probabilities for a token, though they were asked for: it may be an older version'
  throw new PlateauError('TARGET_WITHOUT_LOGPROBS', message)
}

function finishOf({ finish }: Round): FinishReason | undefined {
  if (finish === FINISH_REASON_STOP) return 'stop'
  return finish === FINISH_REASON_LENGTH ? 'length' : undefined
}
