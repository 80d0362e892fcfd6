import { messageOf, PlateauError, target } from '@plateau/contracts'
import { callServerStream, callUnary, createClient, type ChannelSettings } from '@plateau/rpc'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'
import { unavailable } from './request-errors.js'
import { openSpeculateStream, type ResponseSettings, type SpeculateStream } from './speculate-stream.js'
import { withoutStalls } from './target-silence.js'

export interface TargetIdentity {
  readonly fingerprint: string
  readonly tokenizerHash: string
}

export interface TargetLinkOptions {
  readonly address: string
  /** Default: plaintext. */
  readonly channel?: ChannelSettings
  /** What PLATEAU_MODEL holds: the target must be the same model. */
  readonly expected: TargetIdentity
  /** A target that is connected and says nothing for so long within a response is taken for lost. */
  readonly stallMs: number
  readonly logger: Logger
  /** Longest wait for an answer to Describe. Default 2 s. */
  readonly describeMs?: number
  /** The target that answers is another model: nothing here can make that right. */
  readonly onMismatch: (error: PlateauError) => void
}

const DESCRIBE_MS = 2_000
/** So many Describes without an answer in silence, one after the other, and the target is lost. */
const MOST_MISSES = 2
/** Between looks at a target that is there, and the longest pause between tries at one that is not. */
const WATCH_MS = 2_000
const MIN_RETRY_MS = 100

/**
 *              describe succeeds                 a call fails
 *  connecting ───────────────────▶ connected ───────────────▶ connecting
 *      │                                                          (again, with growing pauses up to 2 s)
 *      └── another model ──▶ mismatched
 *
 * A Describe that comes too late is no proof of death where processors are busy: as long as responses receive messages the
 * link stays connected, and in silence it takes two of them. A refused or broken connection is lost at once.
 *
 * Only a connected link takes requests; otherwise they fail at once, so that clients can go elsewhere.
 */
export class TargetLink {
  readonly #options: TargetLinkOptions
  readonly #client: target.TargetServiceClient
  readonly #stop = new AbortController()
  #wake = Promise.withResolvers<void>()
  #description: target.DescribeResponse | undefined
  #problem: string | undefined = 'not connected yet'
  #loop: Promise<void> | undefined
  /** Messages of the target so far, of responses. */
  #heard = 0
  #misses = 0

  constructor(options: TargetLinkOptions) {
    this.#options = options
    this.#client = createClient(target.TargetServiceClient, options.address, options.channel)
  }

  /** Starts looking for the target, for as long as the link is open. */
  start(): void {
    this.#loop ??= this.#watch()
  }

  /** Undefined while the target is not connected. */
  whyNotReady(): string | undefined {
    return this.#problem
  }

  /** What the target last said of itself; throws UNAVAILABLE while it is not connected. */
  description(): target.DescribeResponse {
    if (this.#problem !== undefined || this.#description === undefined) {
      throw unavailable(`the target at ${this.#options.address} is not available: ${this.#problem}`)
    }
    return this.#description
  }

  open(settings: ResponseSettings): SpeculateStream {
    return openSpeculateStream(this.#client, settings, { stallMs: this.#options.stallMs, onHeard: () => this.#heard++ })
  }

  /** Plain decoding. */
  generate(
    request: target.GenerateRequest,
    { signal, deadlineMs }: ResponseSettings,
  ): AsyncIterable<target.GenerateResponse> {
    const call = new AbortController()
    const settings = { deadlineMs, signal: AbortSignal.any([signal, call.signal]) }
    const tokens = callServerStream<target.GenerateRequest, target.GenerateResponse>(
      (...args) => this.#client.generate(...args),
      request,
      settings,
    )
    return this.#listening(withoutStalls(tokens, this.#options.stallMs, call))
  }

  /** The longest prompt plus response, in tokens, as the target last said it; undefined before it ever answered. */
  maxContext(): number | undefined {
    return this.#description?.maxContext
  }

  /** Teacher-forced distributions of a given response. */
  score(request: target.ScoreRequest, settings: ResponseSettings): Promise<target.ScoreResponse> {
    return callUnary((...call) => this.#client.score(...call), request, settings)
  }

  /** A call failed as if the target were gone: look now, and take no requests until it answers. */
  suspect(error: unknown): void {
    if (this.#problem !== undefined || this.#stop.signal.aborted) return
    this.#problem = messageOf(error)
    this.#options.logger.warn('target lost', { address: this.#options.address, error })
    this.#wake.resolve()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#wake.resolve()
    await this.#loop
    this.#client.close()
  }

  async #watch(): Promise<void> {
    let retryMs = MIN_RETRY_MS
    while (!this.#stop.signal.aborted) {
      const found = await this.#look()
      retryMs = found === 'lost' ? Math.min(retryMs * 2, WATCH_MS) : MIN_RETRY_MS
      this.#wake = Promise.withResolvers<void>()
      const pauseMs = found === 'connected' ? WATCH_MS : retryMs
      const pause = sleep(pauseMs, undefined, { signal: this.#stop.signal, ref: false })
      await Promise.race([pause.catch(() => {}), ...(found === 'lost' ? [] : [this.#wake.promise])])
    }
  }

  async #look(): Promise<'connected' | 'late' | 'lost'> {
    const { address, expected, logger, onMismatch, describeMs = DESCRIBE_MS } = this.#options
    const heardBefore = this.#heard
    try {
      const settings = { deadlineMs: describeMs, signal: this.#stop.signal }
      const found = await callUnary<target.DescribeRequest, target.DescribeResponse>(
        (...call) => this.#client.describe(...call),
        {},
        settings,
      )
      const mismatch = mismatchOf(found, expected, address)
      if (mismatch !== undefined) {
        this.#problem = mismatch.message
        this.#stop.abort()
        onMismatch(mismatch)
        return 'lost'
      }
      this.#description = found
      if (this.#problem !== undefined) logger.info('target connected', { address, model: found.modelId })
      this.#problem = undefined
      this.#misses = 0
      return 'connected'
    } catch (error) {
      if (this.#problem === undefined && isLate(error) && this.#mayLive(heardBefore)) return 'late'
      if (this.#problem === undefined) logger.warn('target lost', { address, error })
      this.#problem = messageOf(error)
      return 'lost'
    }
  }

  #mayLive(heardBefore: number): boolean {
    this.#misses = this.#heard === heardBefore ? this.#misses + 1 : 0
    return this.#misses < MOST_MISSES
  }

  async *#listening<T>(messages: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
    for await (const message of messages) {
      this.#heard++
      yield message
    }
  }
}

function isLate(error: unknown): boolean {
  return error instanceof PlateauError && error.code === 'DEADLINE_EXCEEDED'
}

function mismatchOf(
  found: target.DescribeResponse,
  expected: TargetIdentity,
  address: string,
): PlateauError | undefined {
  const [what, has, wants] =
    found.targetFingerprint !== expected.fingerprint
      ? ['target fingerprint', found.targetFingerprint, expected.fingerprint]
      : ['tokenizer hash', found.tokenizerHash, expected.tokenizerHash]
  if (has === wants) return undefined
  return new PlateauError(
    'TARGET_MISMATCH',
    `the target at ${address} is not the model in PLATEAU_MODEL: its ${what} is ${has}, expected was ${wants}`,
    { facts: { address, what, found: has, expected: wants } },
  )
}
