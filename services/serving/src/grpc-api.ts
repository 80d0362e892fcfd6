import { serving, target } from '@plateau/contracts'
import type { Tokenizer } from '@plateau/model-files'
import { serverStream, unary, type ReportError, type RpcService } from '@plateau/rpc'
import { withRemoteParent } from '@plateau/telemetry'
import type { AcceptanceLedger } from './acceptance-ledger.js'
import type { DraftHolder } from './draft-holder.js'
import { badRequest } from './request-errors.js'
import type { GenerationRequest, ServingEngine } from './serving-engine.js'
import type { FinishReason } from './text-pieces.js'

export interface GrpcApiOptions {
  readonly engine: ServingEngine
  readonly tokenizer: Tokenizer
  readonly status: () => serving.StatusResponse
  readonly report: ReportError
}

/** The gRPC door: the same engine as HTTP, in the contract's words. */
export function grpcApi(options: GrpcApiOptions): RpcService {
  const implementation: serving.ServingServiceServer = {
    generate: serverStream<serving.GenerateRequest, serving.GenerateResponse>(
      (request, { signal, traceparent }) =>
        withRemoteParent(traceparent, () =>
          generate(generationRequest(request, options.tokenizer), options.engine, signal),
        ),
      options.report,
    ),
    status: unary<serving.StatusRequest, serving.StatusResponse>(async () => options.status(), options.report),
  }
  return { definition: serving.ServingServiceService, implementation }
}

async function* generate(
  request: GenerationRequest,
  engine: ServingEngine,
  signal: AbortSignal,
): AsyncGenerator<serving.GenerateResponse> {
  const generation = engine.generate(request, signal)
  for await (const { text, tokenIds, finish } of generation.pieces) {
    const stats = finish === undefined ? undefined : generation.stats()
    yield { text, tokenIds: [...tokenIds], finishReason: wireFinish(finish), stats }
  }
}

function generationRequest(request: serving.GenerateRequest, tokenizer: Tokenizer): GenerationRequest {
  const { sampling, stop } = request
  if (sampling === undefined) throw badRequest('sampling', 'sampling is missing')
  if (!(sampling.temperature >= 0))
    throw badRequest('sampling.temperature', 'sampling.temperature must not be negative')
  if (!(sampling.topP >= 0 && sampling.topP <= 1))
    throw badRequest('sampling.top_p', 'sampling.top_p must be from 0 to 1')
  if (sampling.maxTokens < 1) throw badRequest('sampling.max_tokens', 'sampling.max_tokens must be at least 1')
  if (stop.some((text) => text === '')) throw badRequest('stop', 'a stop string must not be empty')
  return {
    promptTokenIds: tokenizer.encode(request.prompt),
    // 0 means 1, as the contract says.
    sampling: { ...sampling, topP: sampling.topP || 1 },
    stop,
    tenant: request.tenant,
    domain: request.domain,
    speculate: !request.disableSpeculation,
    capture: !request.optOutOfCapture,
    fields: { prompt: 'prompt', maxTokens: 'sampling.max_tokens' },
  }
}

function wireFinish(finish: FinishReason | undefined): target.FinishReason {
  if (finish === undefined) return target.FinishReason.FINISH_REASON_UNSPECIFIED
  return finish === 'stop' ? target.FinishReason.FINISH_REASON_STOP : target.FinishReason.FINISH_REASON_LENGTH
}

export interface StatusParts {
  readonly modelId: string
  readonly fingerprint: string
  readonly inFlight: () => number
  readonly rejectedVersions: () => number
  readonly speculation: boolean
  readonly holder: DraftHolder
  readonly ledger: AcceptanceLedger
}

/** What is served at present, and how well. Numbers are since the start. */
export function statusOf(parts: StatusParts): serving.StatusResponse {
  const { holder } = parts
  const speculation = holder.controller?.snapshot()
  return {
    modelId: parts.modelId,
    targetFingerprint: parts.fingerprint,
    liveDraftVersion: String(holder.liveVersion),
    requestsInFlight: parts.inFlight(),
    swaps: holder.swaps,
    rejectedVersions: parts.rejectedVersions(),
    speculating: parts.speculation && (speculation?.proposal ?? 0) > 0,
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
