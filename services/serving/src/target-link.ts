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
  /** The target that answers is another model: nothing here can make that right. */
  readonly onMismatch: (error: PlateauError) => void
}

const DESCRIBE_MS = 2_000
/** Between looks at a target that is there, and the longest pause between tries at one that is not. */
const WATCH_MS = 2_000
const MIN_RETRY_MS = 100

/**
 *              describe succeeds                 a call fails
 *  connecting ───────────────────▶ connected ───────────────▶ connecting
 *      │                                                          (again, with growing pauses up to 2 s)
 *      └── another model ──▶ mismatched
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
    return openSpeculateStream(this.#client, settings, this.#options.stallMs)
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
    return withoutStalls(tokens, this.#options.stallMs, call)
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
      const connected = await this.#look()
      retryMs = connected ? MIN_RETRY_MS : Math.min(retryMs * 2, WATCH_MS)
      this.#wake = Promise.withResolvers<void>()
      const pause = sleep(connected ? WATCH_MS : retryMs, undefined, { signal: this.#stop.signal, ref: false })
      await Promise.race([pause.catch(() => {}), ...(connected ? [this.#wake.promise] : [])])
    }
  }

  async #look(): Promise<boolean> {
    const { address, expected, logger, onMismatch } = this.#options
    try {
      const settings = { deadlineMs: DESCRIBE_MS, signal: this.#stop.signal }
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
        return false
      }
      this.#description = found
      if (this.#problem !== undefined) logger.info('target connected', { address, model: found.modelId })
      this.#problem = undefined
      return true
    } catch (error) {
      if (this.#problem === undefined) logger.warn('target lost', { address, error })
      this.#problem = messageOf(error)
      return false
    }
  }
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
