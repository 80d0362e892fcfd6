import { messageOf } from '@plateau/contracts'
import type { PlannedRequest } from './requests.js'

/**
 * How a request ended, as its client saw it. `refused`: a status that the API documents for a request that was right;
 * `broken off`: an answer that ended with the documented error event; `unreachable`: no connection, or one that was lost;
 * `unexplained`: anything else, which is a failure wherever it happens.
 */
export type Outcome = 'answered' | 'cancelled' | 'refused' | 'broken off' | 'unreachable' | 'unexplained'

export interface Ended {
  readonly outcome: Outcome
  /** 0 where there was none. */
  readonly status: number
  /** What was wrong; '' where nothing was. */
  readonly detail: string
  /** From the request to the first piece; only of streams. */
  readonly firstPieceMs: number | undefined
  /** Each token's part of the time since the piece before; only of streams. */
  readonly tokenMs: readonly number[]
}

/** Busy, or away for a moment: both say when to come back. */
const COME_BACK = new Set([429, 503])
const TOO_LATE = 504

/** Sends it once, without a second try. Never throws. */
export async function sendRequest(url: string, planned: PlannedRequest, timeoutMs: number): Promise<Ended> {
  const leaving = new AbortController()
  const startedMs = performance.now()
  const timing = { firstPieceMs: undefined as number | undefined, tokenMs: [] as number[] }
  const end = (outcome: Outcome, status: number, detail = ''): Ended => ({ outcome, status, detail, ...timing })
  let status = 0
  try {
    const response = await fetch(`${url}${planned.path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(planned.key === undefined ? {} : { authorization: `Bearer ${planned.key}` }),
      },
      body: planned.body,
      signal: AbortSignal.any([leaving.signal, AbortSignal.timeout(timeoutMs)]),
    })
    status = response.status
    if (status !== 200) return refusal(response, planned, end)
    if (planned.refusedWith !== undefined) {
      await response.arrayBuffer()
      return end('unexplained', status, `answered although it is wrong (${planned.kind})`)
    }
    if (!planned.stream) {
      const body = (await response.json()) as { readonly choices?: readonly unknown[] }
      return body.choices?.length === 1
        ? end('answered', status)
        : end('unexplained', status, 'an answer without a choice')
    }
    return await readStream(response, planned, { startedMs, timing, leaving, end })
  } catch (error) {
    if (leaving.signal.aborted) return end('cancelled', status)
    const detail = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error)
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    return end(isTimeout ? 'unexplained' : 'unreachable', status, detail)
  }
}

type End = (outcome: Outcome, status: number, detail?: string) => Ended

async function refusal(response: Response, planned: PlannedRequest, end: End): Promise<Ended> {
  const { status, headers } = response
  const text = await response.text()
  const message = messageIn(text)
  if (message === undefined) return end('unexplained', status, `not an error body: ${text.slice(0, 100)}`)
  if (status === planned.refusedWith) return end('answered', status)
  if (COME_BACK.has(status) && headers.get('retry-after') === null)
    return end('unexplained', status, `no Retry-After: ${message}`)
  if (COME_BACK.has(status) || status === TOO_LATE) return end('refused', status, message)
  return end('unexplained', status, message)
}

interface Reading {
  readonly startedMs: number
  readonly timing: { firstPieceMs: number | undefined; tokenMs: number[] }
  readonly leaving: AbortController
  readonly end: End
}

async function readStream(response: Response, planned: PlannedRequest, reading: Reading): Promise<Ended> {
  const { startedMs, timing, leaving, end } = reading
  const tokens = { seen: 0, atMs: startedMs }
  let pieces = 0
  for await (const data of serverSentEvents(response)) {
    if (data === '[DONE]') return end('answered', 200)
    const failure = messageIn(data)
    if (failure !== undefined) return end('broken off', 200, failure)
    const body = JSON.parse(data) as { readonly usage?: { readonly completion_tokens?: number } | null }
    const nowMs = performance.now()
    const count = body.usage?.completion_tokens ?? tokens.seen
    if (timing.firstPieceMs === undefined) timing.firstPieceMs = nowMs - startedMs
    else for (let i = tokens.seen; i < count; i++) timing.tokenMs.push((nowMs - tokens.atMs) / (count - tokens.seen))
    if (count > tokens.seen) Object.assign(tokens, { seen: count, atMs: nowMs })
    if (++pieces === planned.leavesAfter) leaving.abort()
  }
  return end('unexplained', 200, 'the stream ended without [DONE] and without an error')
}

async function* serverSentEvents(response: Response): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (rest + chunk).split('\n\n')
    rest = events.pop()!
    for (const event of events) if (event.startsWith('data: ')) yield event.slice('data: '.length)
  }
}

/** The sentence of OpenAI's error body; undefined for anything else. */
function messageIn(text: string): string | undefined {
  try {
    const body = JSON.parse(text) as { readonly error?: { readonly message?: unknown } } | null
    return typeof body?.error?.message === 'string' ? body.error.message : undefined
  } catch {
    return undefined
  }
}
