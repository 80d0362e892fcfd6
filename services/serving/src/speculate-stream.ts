import { target } from '@plateau/contracts'
import { callBidi, type BidiCall } from '@plateau/rpc'
import { unavailable } from './request-errors.js'
import { withinStall } from './target-silence.js'

type Verdict = target.SpeculateVerdict

/** One response at the target: a verdict for the opening and for every proposal. */
export interface SpeculateStream {
  open(request: target.SpeculateOpen): Promise<Verdict>
  propose(proposal: target.SpeculateProposal): Promise<Verdict>
  /** The verdict of a further plain round that the last proposal asked for. */
  next(): Promise<Verdict>
  /** Ends it at both ends and frees the response's cache: at once, or, once it is finished, as the target ends it. Idempotent. */
  close(): void
}

export interface ResponseSettings {
  readonly signal: AbortSignal
  readonly deadlineMs: number
}

/** Every verdict that takes longer than `stallMs` is UNAVAILABLE; `onHeard` is told of every one that comes. */
export function openSpeculateStream(
  client: target.TargetServiceClient,
  settings: ResponseSettings,
  { stallMs, onHeard }: { readonly stallMs: number; readonly onHeard: () => void },
): SpeculateStream {
  const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>(
    (metadata, options) => client.speculate(metadata, options),
    settings,
  )
  let isFinished = false
  const answer = async (verdict: Promise<Verdict>): Promise<Verdict> => {
    const found = await withinStall(verdict, stallMs)
    onHeard()
    isFinished = found.finishReason !== target.FinishReason.FINISH_REASON_UNSPECIFIED
    return found
  }
  return {
    open: (value) => answer(round(call, { message: { $case: 'open', value } })),
    propose: (value) => answer(round(call, { message: { $case: 'proposal', value } })),
    next: () => answer(verdict(call)),
    // Cancelling resets the stream, and a server that sees many resets closes the connection.
    close: () => (isFinished ? call.finish() : call.cancel()),
  }
}

type Call = BidiCall<target.SpeculateRequest, target.SpeculateResponse>

async function round(call: Call, request: target.SpeculateRequest): Promise<Verdict> {
  await call.send(request)
  return verdict(call)
}

async function verdict(call: Call): Promise<Verdict> {
  const response = await call.receive()
  if (response?.verdict === undefined) throw unavailable('the target ended the response before it was finished')
  return response.verdict
}
