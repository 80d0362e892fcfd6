import { serving, target } from '@plateau/contracts'
import type { Tokenizer } from '@plateau/model-files'
import { serverStream, unary, type ReportError, type RpcService } from '@plateau/rpc'
import type { AcceptanceLedger } from './acceptance-ledger.js'
import type { Access, Caller } from './access/access.js'
import { badRequest } from './request-errors.js'
import type { LoadedDraft } from './rollouts/loaded-draft.js'
import type { GenerationRequest, ServingEngine } from './serving-engine.js'
import type { FinishReason } from './text-pieces.js'

export interface GrpcApiOptions {
  readonly engine: ServingEngine
  readonly tokenizer: Tokenizer
  readonly access: Access
  readonly status: () => serving.StatusResponse
  readonly report: ReportError
}

/** The gRPC door: the same engine as HTTP, in the contract's words. */
export function grpcApi(options: GrpcApiOptions): RpcService {
  const implementation: serving.ServingServiceServer = {
    generate: serverStream<serving.GenerateRequest, serving.GenerateResponse>((request, { signal, metadata }) => {
      const caller = options.access.authenticate(metadata('authorization'))
      const asked = generationRequest(request, caller, options.tokenizer)
      return generate(asked, options, signal)
    }, options.report),
    status: unary<serving.StatusRequest, serving.StatusResponse>(async (_, { metadata }) => {
      options.access.authenticate(metadata('authorization'))
      return options.status()
    }, options.report),
  }
  return { definition: serving.ServingServiceService, implementation }
}

async function* generate(
  request: GenerationRequest,
  { engine, access }: GrpcApiOptions,
  signal: AbortSignal,
): AsyncGenerator<serving.GenerateResponse> {
  const { promptTokenIds, tenant, fields } = request
  const tokens = promptTokenIds.length + engine.maxTokensOf(request)
  const reserved = access.reserve(tenant, {
    tokens,
    responses: 1,
    fields: { tokens: fields.maxTokens, responses: 'n' },
  })
  const generation = engine.generate(request, signal)
  let generated = 0
  try {
    for await (const { text, tokenIds, finish } of generation.pieces) {
      generated += tokenIds.length
      const stats = finish === undefined ? undefined : generation.stats()
      yield { text, tokenIds: [...tokenIds], finishReason: wireFinish(finish), stats }
    }
  } finally {
    reserved.settle(generated === 0 ? 0 : promptTokenIds.length + generated)
  }
}

const MAX_BIASED_TOKENS = 300

function checkProcessors(sampling: target.SamplingParams, tokenizer: Tokenizer): void {
  checkWithin('presence_penalty', sampling.presencePenalty, -2)
  checkWithin('frequency_penalty', sampling.frequencyPenalty, -2)
  checkWithin('repetition_penalty', sampling.repetitionPenalty, 0)
  const biases = Object.entries(sampling.logitBias)
  const fits = ([id, bias]: [string, number]): boolean =>
    Number(id) < tokenizer.vocabSize && bias >= -100 && bias <= 100
  if (biases.length > MAX_BIASED_TOKENS || !biases.every(fits)) {
    const rule = `sampling.logit_bias must have up to ${MAX_BIASED_TOKENS} token ids of this model, each with a number from -100 to 100`
    throw badRequest('sampling.logit_bias', rule)
  }
  if (sampling.logprobs !== 0)
    throw badRequest('sampling.logprobs', 'log probabilities are not part of this call; the HTTP API returns them')
}

function generationRequest(request: serving.GenerateRequest, caller: Caller, tokenizer: Tokenizer): GenerationRequest {
  const { sampling, stop } = request
  if (sampling === undefined) throw badRequest('sampling', 'sampling is missing')
  if (!(sampling.temperature >= 0))
    throw badRequest('sampling.temperature', 'sampling.temperature must not be negative')
  if (!(sampling.topP >= 0 && sampling.topP <= 1))
    throw badRequest('sampling.top_p', 'sampling.top_p must be from 0 to 1')
  if (sampling.maxTokens < 1) throw badRequest('sampling.max_tokens', 'sampling.max_tokens must be at least 1')
  checkProcessors(sampling, tokenizer)
  if (stop.some((text) => text === '')) throw badRequest('stop', 'a stop string must not be empty')
  return {
    operation: 'text_completion',
    promptTokenIds: tokenizer.encode(request.prompt),
    // 0 means 1, as the contract says.
    sampling: { ...sampling, topP: sampling.topP || 1 },
    stop,
    tenant: caller.tenant ?? request.tenant,
    domain: request.domain,
    speculate: !request.disableSpeculation && caller.maySpeculate,
    capture: !request.optOutOfCapture && caller.mayCapture,
    fields: { prompt: 'prompt', maxTokens: 'sampling.max_tokens' },
  }
}

function wireFinish(finish: FinishReason | undefined): target.FinishReason {
  if (finish === undefined) return target.FinishReason.FINISH_REASON_UNSPECIFIED
  return finish === 'stop' ? target.FinishReason.FINISH_REASON_STOP : target.FinishReason.FINISH_REASON_LENGTH
}

function checkWithin(name: string, value: number, min: number): void {
  if (!(value >= min && value <= 2)) throw badRequest(`sampling.${name}`, `sampling.${name} must be from ${min} to 2`)
}

export interface StatusParts {
  readonly modelId: string
  readonly fingerprint: string
  readonly inFlight: () => number
  readonly rejectedVersions: () => number
  readonly swaps: () => number
  /** What requests use if nothing better is known for them. */
  readonly live: () => LoadedDraft | undefined
  readonly ledger: AcceptanceLedger
}

/** What is served at present, and how well. Numbers are since the start. */
export function statusOf(parts: StatusParts): serving.StatusResponse {
  const live = parts.live()
  const speculation = live?.controller.snapshot()
  return {
    modelId: parts.modelId,
    targetFingerprint: parts.fingerprint,
    liveDraftVersion: String(live?.version ?? 0),
    requestsInFlight: parts.inFlight(),
    swaps: parts.swaps(),
    rejectedVersions: parts.rejectedVersions(),
    speculating: (speculation?.proposal ?? 0) > 0,
    breakEvenAcceptance: speculation?.breakEvenAcceptance ?? Number.NaN,
    versions: Array.from(parts.ledger.totals(), ([draftVersion, counts]) => ({
      draftVersion,
      numDrafts: counts.numDrafts,
      numDraftTokens: counts.numDraftTokens,
      numAcceptedTokens: counts.numAcceptedTokens,
      alphaSum: counts.alphaSum,
      alphaPositions: counts.alphaPositions,
    })),
  }
}
