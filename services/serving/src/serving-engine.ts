import { PlateauError, target } from '@plateau/contracts'
import type { Tokenizer } from '@plateau/model-files'
import { SpeculationController, type DecodingMode, type DecodingModes, type Random } from '@plateau/speculation'
import { errorCode, type Logger } from '@plateau/telemetry'
import type { AcceptanceLedger, Share } from './acceptance-ledger.js'
import type { Admission } from './admission.js'
import { badRequest, cancelled, deadlineExceeded, unavailable } from './request-errors.js'
import type { ServingMetrics } from './serving-metrics.js'
import { plainResponse } from './plain-response.js'
import type { Round } from './response.js'
import { addRound, endResponseSpan, startResponseSpan, type ResponseSpan } from './response-span.js'
import { speculativeResponse } from './speculative-response.js'
import { ComparisonBudget, type Account } from './rollouts/comparison-budget.js'
import type { Assignment, SpeculationOutcome, Traffic } from './rollouts/draft-fleet.js'
import type { LoadedDraft } from './rollouts/loaded-draft.js'
import { PairedSessions } from './rollouts/paired-sessions.js'
import type { TargetLink } from './target-link.js'
import { textPieces, type Piece } from './text-pieces.js'

/** A request whose every field was checked at the edge, whichever edge that was. */
export interface GenerationRequest {
  readonly operation: 'chat' | 'text_completion'
  readonly promptTokenIds: readonly number[]
  /** `maxTokens` undefined: as many as fit. `seed` undefined: a random one. */
  readonly sampling: Omit<target.SamplingParams, 'maxTokens' | 'seed'> & {
    readonly maxTokens: number | undefined
    readonly seed: number | undefined
  }
  readonly stop: readonly string[]
  readonly tenant: string
  readonly domain: string
  readonly speculate: boolean
  readonly capture: boolean
  /** Names of the fields that hold prompt and length at the edge, for errors. */
  readonly fields: { readonly prompt: string; readonly maxTokens: string }
}

/** Speculation within one response. */
export interface ResponseStats {
  /** "0" = none. */
  readonly draftVersion: string
  readonly numDrafts: number
  readonly numDraftTokens: number
  readonly numAcceptedTokens: number
  /** Of the draft's tokens, those that the target decided about. */
  readonly numJudgedTokens: number
  /** Copies from the text, counted apart from the draft's. */
  readonly numLookupTokens: number
  readonly numAcceptedLookupTokens: number
  readonly numEmittedTokens: number
}

export interface ServingEngineOptions {
  /** What the model is called. */
  readonly model: string
  readonly target: TargetLink
  readonly tokenizer: Tokenizer
  /** Which draft a request uses. */
  readonly drafts: { assign(traffic: Traffic): Assignment }
  readonly admission: Admission
  readonly ledger: AcceptanceLedger
  readonly metrics: ServingMetrics
  readonly logger: Logger
  readonly timeoutMs: number
  /** Most tokens that a request may ask for, and that its prompt may have; undefined: what the context holds. */
  readonly maxTokens: number | undefined
  readonly maxPromptTokens: number | undefined
  readonly maxProposal: number
  readonly promptFeatures: number
  readonly speculation: boolean
  /** What was seen of decoding with proposals and without, by load. */
  readonly modes: DecodingModes
  /** Propose copies from prompt and response where they pay, with a draft or without. */
  readonly promptLookup: boolean
  /** Whether this tenant's traffic may be streamed to the event log at all. */
  readonly mayCapture: (tenant: string) => boolean
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
  readonly random: Random
  readonly newId: () => string
}

/** One response under way: pieces of text to pull, and what speculation did so far. */
export interface Generation {
  readonly promptTokens: number
  readonly pieces: AsyncGenerator<Piece, void>
  stats(): ResponseStats
  /** Rounds that verified a proposal so far, the draft's or a copy. */
  readonly steps: readonly SpeculationStep[]
}

export interface SpeculationStep {
  readonly proposed: number
  readonly accepted: number
}

/** From a checked request to pieces of text: admission, deadline, draft lease, counting. The same for HTTP and gRPC. */
export class ServingEngine {
  readonly #options: ServingEngineOptions
  /** Of responses without a draft: what copies bring, and what rounds take. */
  readonly #copying: SpeculationController
  readonly #comparing = new ComparisonBudget()

  constructor(options: ServingEngineOptions) {
    this.#options = options
    this.#copying = new SpeculationController({ maxProposal: options.maxProposal, hasDraft: false })
  }

  /** Aborting `signal` ends the response at the target at once, as leaving the loop over the pieces does. */
  generate(request: GenerationRequest, signal: AbortSignal): Generation {
    const stats = emptyStats()
    const steps: SpeculationStep[] = []
    return {
      promptTokens: request.promptTokenIds.length,
      pieces: this.#run(request, signal, stats, steps),
      stats: () => ({ ...stats }),
      steps,
    }
  }

  /**
   * The most tokens that a response may have: what the request asks for, or as many as fit. Throws INVALID_ARGUMENT for
   * lengths beyond context or limits, UNAVAILABLE without a target.
   */
  maxTokensOf(request: GenerationRequest): number {
    try {
      return this.#maxTokens(request)
    } catch (error) {
      const { tenant } = this.#options.ledger.share('0', request.tenant, request.domain)
      this.#options.metrics.requests.add({ outcome: outcomeOf(error), tenant })
      throw error
    }
  }

  async *#run(
    request: GenerationRequest,
    client: AbortSignal,
    stats: Mutable<ResponseStats>,
    steps: SpeculationStep[],
  ): AsyncGenerator<Piece, void> {
    const { admission, timeoutMs, metrics, ledger, nowMs } = this.#options
    const startedMs = nowMs()
    const deadline = AbortSignal.timeout(timeoutMs)
    const signal = AbortSignal.any([client, deadline])
    const tenant = ledger.share('0', request.tenant, request.domain).tenant
    let share: Share | undefined
    let outcome = 'cancelled'
    let leave: (() => void) | undefined
    let assignment: Assignment | undefined
    let mode: Mode | undefined
    let failure: unknown
    let errorType: string | undefined
    const span = startResponseSpan(request, this.#options.model)
    try {
      const sampling = this.#fit(request)
      leave = await admission.enter(signal)
      const sampleId = this.#options.newId()
      span.set({ 'plateau.sample.id': sampleId, 'plateau.captured': this.#mayCapture(request) })
      const { tenant: whose, domain } = request
      if (request.speculate && this.#options.speculation) {
        assignment = this.#options.drafts.assign({ sampleId, tenant: whose, domain })
      }
      stats.draftVersion = assignment?.draft?.identity.name ?? '0'
      share = ledger.share(stats.draftVersion, request.tenant, request.domain)
      metrics.promptTokens.add({ tenant }, request.promptTokenIds.length)
      const remainingMs = Math.max(1, timeoutMs - (nowMs() - startedMs))
      mode = this.#mode(request, assignment)
      const call = { signal, assignment, mode, remainingMs, sampleId }
      const rounds = span.each(span.run(() => this.#rounds(request, sampling, call)))
      const counted = this.#count(rounds, share, { stats, steps, startedMs, mode, span })
      const wanted = { stops: request.stop, logprobs: sampling.logprobs > 0 }
      for await (const piece of textPieces(counted, this.#options.tokenizer.decoder(), wanted)) {
        if (piece.finish !== undefined) outcome = piece.finish
        yield piece
      }
    } catch (error) {
      const shown = this.#explain(error, { client, deadline, started: stats.numEmittedTokens > 0 })
      outcome = outcomeOf(shown)
      errorType = errorCode(shown)
      if (outcome === 'failed') failure = shown
      const limit = limitOf(shown)
      if (limit !== undefined) metrics.refused.add({ tenant, reason: limit })
      throw shown
    } finally {
      mode?.decoding?.ended(nowMs() * 1000)
      assignment?.finished(outcomesOf(stats, steps))
      assignment?.release()
      leave?.()
      metrics.requests.add({ outcome, tenant })
      if (share !== undefined && outcome !== 'cancelled') ledger.finished(share, outcome === 'failed')
      endResponseSpan(span, stats, { outcome, errorType, failure })
    }
  }

  #fit(request: GenerationRequest): target.SamplingParams {
    const maxTokens = this.#maxTokens(request)
    const { seed = Math.floor(this.#options.random() * 2 ** 32) } = request.sampling
    return { ...request.sampling, maxTokens, seed }
  }

  /** The request's lengths against the target's context and our own limits. */
  #maxTokens({ fields, promptTokenIds, sampling }: GenerationRequest): number {
    const { maxTokens: most = Infinity, maxPromptTokens = Infinity } = this.#options
    const { maxContext } = this.#options.target.description()
    const room = maxContext - promptTokenIds.length
    if (promptTokenIds.length === 0) throw badRequest(fields.prompt, `${fields.prompt} holds no token`)
    if (promptTokenIds.length > maxPromptTokens) {
      const message = `${fields.prompt} has ${promptTokenIds.length} tokens; here it may have up to ${maxPromptTokens}`
      throw badRequest(fields.prompt, message, 'context_length_exceeded')
    }
    if (room < 1) {
      const message = `${fields.prompt} has ${promptTokenIds.length} tokens; with a response it must stay within ${maxContext}`
      throw badRequest(fields.prompt, message, 'context_length_exceeded')
    }
    const { maxTokens = Math.min(room, most) } = sampling
    if (maxTokens > most)
      throw badRequest(fields.maxTokens, `${fields.maxTokens} is ${maxTokens}; here it may be up to ${most}`)
    if (maxTokens > room) {
      const message = `${promptTokenIds.length} prompt tokens and ${fields.maxTokens}=${maxTokens} do not fit the context of ${maxContext} tokens`
      throw badRequest(fields.maxTokens, message, 'context_length_exceeded')
    }
    return maxTokens
  }

  /** How a response is decoded: with proposals where they pay by what rounds cost, and by how fast responses really came. */
  #mode(request: GenerationRequest, assignment: Assignment | undefined): Mode {
    const { modes, promptLookup } = this.#options
    const [loaded, pair] = [assignment?.draft, assignment?.pair]
    const copies = request.speculate && promptLookup
    const controller = loaded?.controller ?? this.#copying
    const kind = kindOf(request)
    const may = loaded !== undefined || copies
    const decoding = may ? modes.next(kind) : undefined
    const pays = decoding?.speculates === true && controller.pays(kind, copies)
    // Two versions are compared even where neither pays, as far as it may cost time.
    const account = pays || pair === undefined ? undefined : this.#comparing.account(pair.stage)
    if (account !== undefined) decoding?.goesApart()
    return { kind, decoding, copies, controller, speculates: pays || account !== undefined, account }
  }

  #mayCapture({ capture, tenant }: GenerationRequest): boolean {
    return capture && this.#options.mayCapture(tenant)
  }

  #rounds(
    request: GenerationRequest,
    sampling: target.SamplingParams,
    call: {
      readonly signal: AbortSignal
      readonly assignment: Assignment | undefined
      readonly mode: Mode
      readonly remainingMs: number
      readonly sampleId: string
    },
  ): AsyncGenerator<Round> {
    const { target: link, logger, metrics, maxProposal, promptFeatures, random, nowMs } = this.#options
    const { tenant, domain } = request
    const capture = { consent: this.#mayCapture(request), sampleId: call.sampleId, tenant, domain }
    const asked = { promptTokenIds: [...request.promptTokenIds], sampling, capture }
    const settings = { signal: call.signal, deadlineMs: call.remainingMs }
    const { assignment } = call
    const [loaded, pair] = [assignment?.draft, assignment?.pair]
    const failed = (failing: LoadedDraft, error: unknown): void => {
      metrics.draftErrors.add({})
      logger.error('draft failed, response goes on without it', { version: failing.identity.name, error })
      assignment?.failed(failing, error)
    }
    const { kind, copies, controller, speculates } = call.mode
    if (!speculates) return plainResponse(link.generate(asked, settings))
    return speculativeResponse(asked, {
      stream: link.open(settings),
      maxProposal: Math.min(maxProposal, link.description().maxProposal),
      promptFeatures,
      proposer: {
        draft: loaded?.draft,
        controller,
        kind,
        lookupTokens: copies ? reach(asked.promptTokenIds.length + sampling.maxTokens) : undefined,
        random,
        clockUs: () => nowMs() * 1000,
        onError: (error) => failed(loaded!, error),
      },
      paired: pair === undefined ? undefined : new PairedSessions(pair, failed),
    })
  }

  async *#count(
    rounds: AsyncGenerator<Round>,
    share: Share,
    {
      stats,
      steps,
      startedMs,
      mode,
      span,
    }: {
      readonly stats: Mutable<ResponseStats>
      readonly steps: SpeculationStep[]
      readonly startedMs: number
      readonly mode: Mode
      readonly span: ResponseSpan
    },
  ): AsyncGenerator<Round> {
    const { metrics, ledger, nowMs } = this.#options
    const { decoding } = mode
    let pulledMs = startedMs
    decoding?.waits(nowMs() * 1000)
    for await (const round of rounds) {
      decoding?.emitted(round.tokens.length, nowMs() * 1000)
      const tookSeconds = (nowMs() - pulledMs) / 1000
      if (stats.numEmittedTokens === 0) metrics.firstToken.record({}, tookSeconds)
      else for (const _ of round.tokens) metrics.interToken.record({}, tookSeconds / round.tokens.length)
      if (round.work !== undefined) countParts(metrics, tookSeconds, round.work)
      countRound(stats, round)
      addRound(span, round)
      if (round.proposed > 0) steps.push({ proposed: round.proposed, accepted: round.accepted })
      ledger.round(share, round)
      this.#comparing.served(round.tokens.length, mode.account)
      yield round
      // The time in between is the client's, not ours.
      pulledMs = nowMs()
      decoding?.waits(pulledMs * 1000)
    }
  }

  /** What went wrong as the client should hear it; tells the link when the target seems to be gone. */
  #explain(
    error: unknown,
    at: { readonly client: AbortSignal; readonly deadline: AbortSignal; readonly started: boolean },
  ): unknown {
    if (at.client.aborted) return cancelled()
    if (at.deadline.aborted) return deadlineExceeded(this.#options.timeoutMs)
    if (!(error instanceof PlateauError)) return error
    if (error.code === 'DEADLINE_EXCEEDED') return deadlineExceeded(this.#options.timeoutMs)
    // A cancellation that nobody here asked for is a target that is shutting down.
    if (error.code !== 'UNAVAILABLE' && error.code !== 'CANCELLED') return error
    this.#options.target.suspect(error)
    if (at.started) this.#options.metrics.lostStreams.add({})
    return unavailable(`the target broke off the response: ${error.message}`, error)
  }
}

/** How one response is decoded, and as what its time counts. */
interface Mode {
  readonly kind: string
  /** Undefined: there is no choice. */
  readonly decoding: DecodingMode | undefined
  readonly copies: boolean
  readonly controller: SpeculationController
  readonly speculates: boolean
  /** It speculates for a comparison's sake alone, decoded plainly it would be faster: out of this. */
  readonly account: Account | undefined
}

/** Further back than this a copy is not worth its memory: 12 bytes a token. */
const MAX_REACH = 16_384

/** The least power of two that covers a text, so far as copies reach. */
function reach(tokens: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, Math.min(tokens, MAX_REACH))))
}

/** Acceptance differs by what is talked about and by how it is sampled: colder text is easier to foresee. */
function kindOf({ domain, sampling: { temperature } }: GenerationRequest): string {
  return `${temperature === 0 ? 'greedy' : temperature < 0.8 ? 'cool' : 'warm'} ${domain}`
}

function outcomesOf(stats: ResponseStats, steps: readonly SpeculationStep[]): SpeculationOutcome {
  const sum = (of: (step: SpeculationStep) => number): number => steps.reduce((total, step) => total + of(step), 0)
  return {
    draft: { accepted: stats.numAcceptedTokens, judged: stats.numJudgedTokens },
    all: {
      accepted: sum((step) => step.accepted),
      judged: sum(({ proposed, accepted }) => Math.min(accepted + 1, proposed)),
      rounds: steps.length,
    },
  }
}

function emptyStats(): Mutable<ResponseStats> {
  return {
    draftVersion: '0',
    numDrafts: 0,
    numDraftTokens: 0,
    numAcceptedTokens: 0,
    numJudgedTokens: 0,
    numLookupTokens: 0,
    numAcceptedLookupTokens: 0,
    numEmittedTokens: 0,
  }
}

function countParts({ roundSeconds }: ServingMetrics, seconds: number, work: NonNullable<Round['work']>): void {
  const [draft, target] = [work.draftUs / 1e6, work.targetUs / 1e6]
  roundSeconds.add({ part: 'draft' }, draft)
  roundSeconds.add({ part: 'target' }, target)
  // Clocks of two processes: what is left can round to just below nothing.
  roundSeconds.add({ part: 'other' }, Math.max(0, seconds - draft - target))
}

function countRound(stats: Mutable<ResponseStats>, { source, proposed, accepted, judged, tokens }: Round): void {
  stats.numEmittedTokens += tokens.length
  if (source === 'lookup') {
    stats.numLookupTokens += proposed
    stats.numAcceptedLookupTokens += accepted
  } else if (proposed > 0) {
    stats.numDrafts += 1
    stats.numDraftTokens += proposed
    stats.numAcceptedTokens += accepted
    stats.numJudgedTokens += judged
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Codes that say the request was at fault, or that it was not taken on. */
const REJECTED = new Set(['INVALID_ARGUMENT', 'NOT_FOUND', 'RESOURCE_EXHAUSTED', 'OUT_OF_RANGE', 'FAILED_PRECONDITION'])

function outcomeOf(error: unknown): string {
  if (!(error instanceof PlateauError)) return 'failed'
  if (error.code === 'CANCELLED') return 'cancelled'
  return REJECTED.has(error.code) ? 'rejected' : 'failed'
}

/** Which limit was reached by a request that may be sent again later. */
function limitOf(error: unknown): string | undefined {
  if (!(error instanceof PlateauError) || error.code !== 'RESOURCE_EXHAUSTED') return undefined
  return String(error.facts['limit'] ?? 'target')
}
