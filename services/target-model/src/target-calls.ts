/** The four calls of TargetService as async functions and generators, without the transport. */
import { FloatFormat, packFloats, PlateauError, target, topics, type TokenWindow } from '@plateau/contracts'
import type { CallContext } from '@plateau/rpc'
import { createHash } from 'node:crypto'
import { seededRandom, type Random, type Sampling } from '@plateau/speculation'
import { addSpanEvent, currentTraceparent } from '@plateau/telemetry'
import type { TargetMetrics } from './metrics.js'
import {
  checkCapture,
  checkPrompt,
  checkResponsePlan,
  checkResponseTokens,
  checkSpeculateProposal,
  type RequestLimits,
  type RoundRequest,
} from './request-checks.js'
import { ScoredRow } from './scored-row.js'
import { SequenceSlots } from './sequence-slots.js'
import { TargetResponse, type Round, type Start } from './target-response.js'
import type { Target } from './target.js'
import { tokenLogProbs } from './token-log-probs.js'
import { packWindow, positionsThatFit, WindowBuilder, type Lead, type WindowOrigin } from './window-builder.js'

export interface CallOptions {
  /** Responses that may wait for a place. */
  readonly maxWaiting: number
  /** A Speculate stream that sends nothing for this long loses its place. */
  readonly idleMs: number
  /** Longest captured window; shorter where a record could not hold it. */
  readonly windowPositions: number
  /** Whose prompts copy each other's beginnings. */
  readonly prefixSharing: PrefixSharing
}

export type PrefixSharing = 'tenant' | 'all'

export interface CallDependencies {
  readonly metrics: TargetMetrics
  readonly clock: () => number
  /** A seed for responses that ask for none, in [0, 2^32). */
  readonly freshSeed: () => number
  /** Takes a captured window without ever waiting. Undefined: nothing is captured. */
  readonly capture: ((window: TokenWindow, traceparent: string | undefined) => void) | undefined
}

/** Most prompt feature rows returned with the first verdict; each costs a pass through the head. */
const MAX_PROMPT_FEATURES = 256

/** No digest is like it: what is scored is nobody's prompt. */
const SCORED = 'scored'

const PLAIN: RoundRequest = { tokens: [], q: [], rawQ: [], shadowQ: [] }
const { FLOAT_FORMAT_FP32: FP32 } = FloatFormat
const { FINISH_REASON_UNSPECIFIED: UNFINISHED } = target.FinishReason

export class TargetCalls {
  readonly #target: Target
  readonly #options: CallOptions
  readonly #dependencies: CallDependencies
  readonly #slots: SequenceSlots
  readonly #limits: RequestLimits
  readonly #windowPositions: number

  constructor(loaded: Target, options: CallOptions, dependencies: CallDependencies) {
    const { description, decoder, maxProposal } = loaded
    this.#target = loaded
    this.#options = options
    this.#dependencies = dependencies
    this.#slots = new SequenceSlots(decoder.maxSequences, options.maxWaiting)
    this.#limits = { vocabSize: description.config.vocabSize, maxContext: decoder.maxContext, maxProposal }
    const { maxRecordBytes } = topics.tokenDistributions
    const fitting = positionsThatFit(decoder.topK, description.config.hiddenSize, maxRecordBytes)
    this.#windowPositions = Math.min(options.windowPositions, fitting)
    dependencies.metrics.sequences.observe(() => [
      [{ state: 'active' }, this.#slots.active],
      [{ state: 'waiting' }, this.#slots.waiting],
    ])
  }

  describe(): target.DescribeResponse {
    const { description, decoder, maxProposal } = this.#target
    return {
      modelId: description.modelId,
      targetFingerprint: description.fingerprint,
      tokenizerHash: description.tokenizerHash,
      vocabSize: description.config.vocabSize,
      hiddenSize: description.config.hiddenSize,
      maxContext: decoder.maxContext,
      eosTokenIds: [...description.config.eosTokenIds],
      maxProposal,
      parameters: description.parameterCount,
      maxConcurrent: decoder.maxSequences,
    }
  }

  async *generate(request: target.GenerateRequest, context: CallContext): AsyncGenerator<target.GenerateResponse> {
    const response = await this.#open(request, '', context)
    try {
      let round: Round = await response.start(0)
      for (let plain = false; ; plain = true) {
        this.#count('generate', round, plain ? '1' : 'prompt')
        const [logprobs] = await response.logProbs(round)
        yield { tokenId: round.tokens[0]!, finishReason: round.finish, logprobs }
        if (round.finish !== UNFINISHED || context.signal.aborted) return
        round = await response.advance(PLAIN)
      }
    } finally {
      response.close()
    }
  }

  async *speculate(
    requests: AsyncIterable<target.SpeculateRequest>,
    context: CallContext,
  ): AsyncGenerator<target.SpeculateResponse> {
    const incoming = requests[Symbol.asyncIterator]()
    const first = await this.#next(incoming)
    if (!first) return
    if (first.message?.$case !== 'open') throw outOfTurn('The first message of a Speculate stream must be open.')
    const open = first.message.value
    const response = await this.#open(open, open.draftVersion, context)
    try {
      const start = await response.start(Math.min(open.promptFeatures, MAX_PROMPT_FEATURES))
      this.#count('speculate', start, 'prompt')
      yield verdict(start, start.promptFeatures, await response.logProbs(start))
      let { finish }: Round = start
      while (finish === UNFINISHED) {
        const next = await this.#next(incoming)
        if (!next || context.signal.aborted) return
        if (next.message?.$case !== 'proposal') {
          throw outOfTurn('After the first message a Speculate stream takes proposals only.')
        }
        const { value: asked } = next.message
        let proposal = checkSpeculateProposal(asked, response.sampling, this.#limits)
        for (let left = asked.plainRounds; finish === UNFINISHED && left >= 0 && !context.signal.aborted; left--) {
          const round = await response.advance(proposal)
          this.#count('speculate', round, String(round.positions))
          yield verdict(round, joinFeatures(round.rows), await response.logProbs(round))
          finish = round.finish
          proposal = PLAIN
        }
      }
    } finally {
      response.close()
    }
  }

  async score(request: target.ScoreRequest, context: CallContext): Promise<target.ScoreResponse> {
    const { promptTokenIds: prompt, responseTokenIds: response } = request
    checkPrompt(prompt, this.#limits)
    checkResponseTokens(prompt, response, this.#limits)
    const place = await this.#slots.take(context.signal, () => this.#target.decoder.open(SCORED))
    try {
      // One row before the response's first: the lead feature.
      const leadRows = prompt.length > 1 ? 1 : 0
      const candidates = [...Array<number[]>(leadRows).fill([]), ...response.map((token) => [token])]
      const rows = candidates.length
      const step = await place.held.step([...prompt, ...response.slice(0, -1)], { rows, candidates })
      this.#dependencies.metrics.stepSeconds.record({ positions: 'score' }, step.elapsedUs / 1e6)
      const scored = candidates.map((ids, i) => new ScoredRow(step, i, ids, (h) => this.#target.decoder.fullLogits(h)))
      const positions = await Promise.all(
        scored.slice(leadRows).map(async (row, i) => {
          const token = response[i]!
          return { token, row, tokenLogProb: await row.logProb(token) }
        }),
      )
      const lead: Lead = { token: prompt.at(-1)!, feature: leadRows ? scored[0]!.feature : undefined }
      const origin = this.#origin({ consent: false, sampleId: '', tenant: '', domain: '' }, '')
      const whole = { index: 0, start: 0, last: true }
      return { window: packWindow(origin, lead, positions, this.#dependencies.clock(), whole) }
    } finally {
      place.close()
    }
  }

  /** Waits for a place and opens the response, which gives the place back when it is closed or the client leaves. */
  async #open(
    request: {
      promptTokenIds: number[]
      sampling: target.SamplingParams | undefined
      capture: target.Capture | undefined
    },
    draftVersion: string,
    context: CallContext,
  ): Promise<OpenResponse> {
    const plan = checkResponsePlan(request, this.#limits, this.#target.description.config.eosTokenIds)
    checkCapture(request.capture)
    const scope = this.#options.prefixSharing === 'all' ? '' : scopeOf(request.capture?.tenant ?? '')
    const make = () => new TargetResponse(this.#target, plan, this.#randomOf(plan.seed), scope)
    const place = await this.#slots.take(context.signal, make)
    const response = place.held
    let windows: WindowBuilder | undefined
    const capture = async (round: Round): Promise<void> => {
      for (const [i, token] of round.tokens.entries()) {
        const row = round.rows[i]!
        windows?.add({ token, row, tokenLogProb: await row.logProb(token), signals: round.signals[i] })
      }
    }
    const close = (): void => {
      context.signal.removeEventListener('abort', close)
      place.close()
      windows?.end()
      windows = undefined
    }
    context.signal.addEventListener('abort', close, { once: true })
    return {
      sampling: plan.sampling,
      logProbs: ({ tokens, rows }) => tokenLogProbs(tokens, rows, plan.logprobs),
      start: async (promptFeatures) => {
        const start = await response.start(promptFeatures)
        windows = this.#windows(request.capture, draftVersion, plan.prompt.at(-1)!, start, context)
        await capture(start)
        return start
      },
      advance: async (proposal) => {
        const round = await response.advance(proposal)
        await capture(round)
        return round
      },
      close,
    }
  }

  #windows(
    capture: target.Capture | undefined,
    draftVersion: string,
    lastPromptToken: number,
    { leadFeature }: Start,
    { signal, traceparent }: CallContext,
  ): WindowBuilder | undefined {
    const { capture: take, clock } = this.#dependencies
    if (!take || !capture?.consent || signal.aborted) return undefined
    // The span of this call; where it is not traced here, what the caller sent goes on.
    const cause = currentTraceparent() ?? traceparent
    return new WindowBuilder(
      this.#origin(capture, draftVersion),
      { token: lastPromptToken, feature: leadFeature },
      { positions: this.#windowPositions, clock },
      (window) => take(window, cause),
    )
  }

  #origin({ sampleId, tenant, domain }: target.Capture, draftVersion: string): WindowOrigin {
    const { fingerprint, tokenizerHash, config } = this.#target.description
    return {
      targetFingerprint: fingerprint,
      tokenizerHash,
      draftVersion,
      sampleId,
      tenant,
      domain,
      vocabSize: config.vocabSize,
    }
  }

  /** Both halves of a 64-bit seed count. 0 asks for randomness that nobody can repeat. */
  #randomOf(seed: number): Random {
    const used = seed === 0 ? this.#dependencies.freshSeed() : seed
    return seededRandom((used ^ Math.imul(Math.floor(used / 2 ** 32), 0x9e3779b1)) >>> 0)
  }

  #count(method: 'generate' | 'speculate', { tokens, accepted, stepUs }: Round, positions: string): void {
    const { metrics } = this.#dependencies
    addSpanEvent('round', () => ({
      'plateau.accepted_tokens': accepted,
      'plateau.emitted_tokens': tokens.length,
      'plateau.step_us': stepUs,
    }))
    metrics.tokens.add({ method }, tokens.length)
    metrics.stepSeconds.record({ positions }, stepUs / 1e6)
  }

  async #next(requests: AsyncIterator<target.SpeculateRequest>): Promise<target.SpeculateRequest | undefined> {
    const { idleMs } = this.#options
    const idle = Promise.withResolvers<never>()
    const message = `the Speculate stream sent nothing for ${idleMs} ms and lost its place`
    const timer = setTimeout(
      () => idle.reject(new PlateauError('ABORTED', message, { facts: { idleMs }, retryable: true })),
      idleMs,
    )
    try {
      const next = await Promise.race([requests.next(), idle.promise])
      return next.done ? undefined : next.value
    } finally {
      clearTimeout(timer)
    }
  }
}

interface OpenResponse {
  readonly sampling: Sampling
  start(promptFeatures: number): Promise<Start>
  advance(proposal: RoundRequest): Promise<Round>
  /** Of every emitted token, where the request asked for them. */
  logProbs(round: Round): Promise<target.TokenLogProbs[]>
  /** Idempotent. */
  close(): void
}

/** Of one length, however long the name is. */
function scopeOf(tenant: string): string {
  return createHash('sha256').update(tenant).digest('base64url')
}

function verdict(round: Round, features: Float32Array, logprobs: target.TokenLogProbs[]): target.SpeculateResponse {
  return {
    verdict: {
      accepted: round.accepted,
      nextTokenId: round.tokens[round.accepted],
      finishReason: round.finish,
      features: packFloats(features, FP32),
      alpha: round.signals.map(({ overlap }) => overlap),
      stepUs: round.stepUs,
      shadowAlpha: [...round.shadowAlpha],
      logprobs,
    },
  }
}

function joinFeatures(rows: readonly ScoredRow[]): Float32Array {
  const size = rows[0]!.feature.length
  const joined = new Float32Array(rows.length * size)
  rows.forEach((row, i) => joined.set(row.feature, i * size))
  return joined
}

function outOfTurn(message: string): PlateauError {
  return new PlateauError('FAILED_PRECONDITION', message, { facts: { field: 'message' } })
}
