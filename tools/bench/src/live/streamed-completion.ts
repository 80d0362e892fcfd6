import { SseEvents } from './sse-events.js'

export interface StreamedRequest {
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  /** Empty: the client does not say. */
  readonly domain: string
  readonly speculate: boolean
  readonly capture: boolean
}

/** Tokens that came together, at `performance.now()` of this process. */
export interface Arrival {
  readonly atMs: number
  readonly tokens: number
}

/** A whole answer, as a client saw it come. */
export interface StreamedCompletion {
  readonly startedMs: number
  /** At least one. */
  readonly arrivals: readonly Arrival[]
  readonly tokens: number
  /** The version that proposed; "0": none. */
  readonly draftVersion: string
  /** Rounds with a proposal. */
  readonly drafts: number
  readonly finish: string
}

/** The server refused the request. */
export class Refused extends Error {
  override readonly name = 'Refused'

  constructor(
    readonly status: number,
    /** Its Retry-After, in seconds; undefined where it has none. */
    readonly retryAfterSeconds: number | undefined,
    body: string,
  ) {
    super(`HTTP ${status}: ${body.slice(0, 300)}`)
  }
}

interface Chunk {
  readonly choices: readonly { readonly token_ids?: readonly number[]; readonly finish_reason: string | null }[]
  readonly plateau?: { readonly draft_version?: string; readonly num_drafts?: number }
  readonly error?: { readonly message: string }
}

/** Throws Refused, what broke the connection, or an Error where the answer ends without its end. */
export async function streamCompletion(url: string, request: StreamedRequest): Promise<StreamedCompletion> {
  const startedMs = performance.now()
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(bodyOf(request)),
  })
  if (!response.ok) {
    const retryAfter = response.headers.get('retry-after')
    throw new Refused(response.status, retryAfter === null ? undefined : Number(retryAfter), await response.text())
  }
  const arrivals: Arrival[] = []
  let [draftVersion, drafts, finish, isDone] = ['0', 0, '', false]
  for await (const { atMs, data } of dataOf(response)) {
    let tokens = 0
    for (const text of data) {
      if (text === '[DONE]') {
        isDone = true
        continue
      }
      const { choices, plateau, error } = JSON.parse(text) as Chunk
      if (error !== undefined) throw new Error(error.message)
      tokens += choices[0]?.token_ids?.length ?? 0
      draftVersion = plateau?.draft_version ?? draftVersion
      drafts = plateau?.num_drafts ?? drafts
      finish = choices[0]?.finish_reason ?? finish
    }
    if (tokens > 0) arrivals.push({ atMs, tokens })
  }
  if (!isDone || finish === '') throw new Error('the stream ended without its end')
  if (arrivals.length === 0) throw new Error('the stream ended without a token')
  const tokens = arrivals.reduce((sum, arrival) => sum + arrival.tokens, 0)
  return { startedMs, arrivals, tokens, draftVersion, drafts, finish }
}

/** Events that came in one piece came at one time. */
async function* dataOf(response: Response): AsyncGenerator<{ readonly atMs: number; readonly data: string[] }> {
  const decoder = new TextDecoder()
  const events = new SseEvents()
  for await (const piece of response.body!) {
    const atMs = performance.now()
    yield { atMs, data: events.add(decoder.decode(piece as Uint8Array, { stream: true })) }
  }
}

function bodyOf({ prompt, maxTokens, temperature, seed, domain, speculate, capture }: StreamedRequest): object {
  const extension = { domain, capture, disable_speculation: !speculate, return_token_ids: true }
  return { prompt, max_tokens: maxTokens, temperature, seed, stream: true, plateau: extension }
}
