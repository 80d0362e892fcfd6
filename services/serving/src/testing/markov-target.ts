import { FloatFormat, packFloats, PlateauError, target, TokenWindow, unpackTopK, type TopK } from '@plateau/contracts'
import { bidiStream, serverStream, startServer, unary, type RpcServer } from '@plateau/rpc'
import {
  denseOverlap,
  denseTargetRow,
  drawToken,
  logitProcessors,
  seededRandom,
  transformLogits,
  verifyProposal,
  type LogitProcessors,
  type SparseDistribution,
} from '@plateau/speculation'

export const HIDDEN = 64

export interface MarkovTargetOptions {
  readonly vocabSize: number
  readonly fingerprint: string
  readonly tokenizerHash: string
  readonly address?: string
  readonly maxContext?: number
  /** Runs before every verdict: to pause a response in its middle, or to break it. */
  readonly beforeVerdict?: (round: number) => Promise<void>
  /** Verifies as nobody should: whatever is proposed holds. Default false. */
  readonly acceptsEverything?: boolean
}

export interface MarkovTarget {
  readonly address: string
  /** What clients opened responses with. */
  readonly opened: readonly target.SpeculateOpen[]
  /** Responses whose client left before the end. */
  readonly cancelled: () => number
  readonly active: () => number
  stop(): Promise<void>
}

/**
 * A target that is small enough to reason about: the next token depends on the previous one only. Served by real gRPC
 * with real verification. Feature rows begin with the token they come from, so that a draft can check them.
 */
export async function startMarkovTarget(options: MarkovTargetOptions): Promise<MarkovTarget> {
  const opened: target.SpeculateOpen[] = []
  let active = 0
  let cancelled = 0
  const fail = (error: unknown): void => console.error('markov target', error)
  async function* counted(requests: AsyncIterable<target.SpeculateRequest>): AsyncGenerator<target.SpeculateVerdict> {
    active += 1
    let finished = false
    try {
      for await (const verdict of respond(withPlainRounds(requests), opened, options)) {
        finished = verdict.finishReason !== target.FinishReason.FINISH_REASON_UNSPECIFIED
        yield verdict
      }
    } finally {
      active -= 1
      if (!finished) cancelled += 1
    }
  }
  const implementation: target.TargetServiceServer = {
    describe: unary<target.DescribeRequest, target.DescribeResponse>(async () => describe(options), fail),
    generate: serverStream<target.GenerateRequest, target.GenerateResponse>(async function* (request) {
      for await (const verdict of counted(plainRequests(request))) {
        yield { tokenId: verdict.nextTokenId!, finishReason: verdict.finishReason, logprobs: verdict.logprobs[0] }
      }
    }, fail),
    score: unary<target.ScoreRequest, target.ScoreResponse>(async (request) => score(request, options.vocabSize), fail),
    speculate: bidiStream<target.SpeculateRequest, target.SpeculateResponse>(async function* (requests) {
      for await (const verdict of counted(requests)) yield { verdict }
    }, fail),
  }
  const server: RpcServer = await startServer({
    address: options.address ?? '127.0.0.1:0',
    services: [{ definition: target.TargetServiceService, implementation }],
  })
  return {
    address: server.address,
    opened,
    cancelled: () => cancelled,
    active: () => active,
    stop: () => server.drain(0),
  }
}

/** The rounds that a proposal asks for, one by one. */
async function* withPlainRounds(requests: AsyncIterable<target.SpeculateRequest>) {
  for await (const request of requests) {
    yield request
    if (request.message?.$case !== 'proposal') continue
    for (let i = 0; i < request.message.value.plainRounds; i++) yield emptyProposal()
  }
}

function emptyProposal(): target.SpeculateRequest {
  return { message: { $case: 'proposal', value: target.SpeculateProposal.fromPartial({}) } }
}

/** Plain decoding as the same rounds: opened, then proposals of nothing. */
async function* plainRequests({ promptTokenIds, sampling, capture }: target.GenerateRequest) {
  const value = target.SpeculateOpen.fromPartial({
    promptTokenIds,
    sampling: sampling!,
    capture: capture!,
  } as Partial<target.SpeculateOpen>)
  yield { message: { $case: 'open', value } } satisfies target.SpeculateRequest
  for (;;) yield emptyProposal()
}

/** Logits after `token`: a few likely successors, never the end token 0. */
export function markovLogits(token: number, vocabSize: number): Float64Array {
  const random = seededRandom(token + 1)
  const logits = new Float64Array(vocabSize).fill(-30)
  for (let i = 0; i < 6; i++) logits[1 + Math.floor(random() * (vocabSize - 1))] = 3 * random()
  return logits
}

/** What the target says at temperature 0. */
export function greedyResponse(prompt: readonly number[], length: number, vocabSize: number): number[] {
  const tokens: number[] = []
  for (let last = prompt.at(-1)!; tokens.length < length; last = tokens.at(-1)!) {
    const probs = transformLogits(markovLogits(last, vocabSize), { temperature: 0, topK: 0, topP: 1 })
    tokens.push(probs.indexOf(1))
  }
  return tokens
}

function describe({
  vocabSize,
  fingerprint,
  tokenizerHash,
  maxContext = 256,
}: MarkovTargetOptions): target.DescribeResponse {
  return {
    modelId: 'markov',
    targetFingerprint: fingerprint,
    tokenizerHash,
    vocabSize,
    hiddenSize: HIDDEN,
    maxContext,
    eosTokenIds: [0],
    maxProposal: 8,
    parameters: 0,
    maxConcurrent: 16,
  }
}

function score(request: target.ScoreRequest, vocabSize: number): target.ScoreResponse {
  const { promptTokenIds: prompt, responseTokenIds: response } = request
  const before = [prompt.at(-1)!, ...response]
  const tokenLogProb = response.map((token, i) => {
    return Math.log(transformLogits(markovLogits(before[i]!, vocabSize), { temperature: 1, topK: 0, topP: 1 })[token]!)
  })
  return { window: TokenWindow.fromPartial({ tokenIds: response, tokenLogProb }) }
}

async function* respond(
  requests: AsyncIterable<target.SpeculateRequest>,
  opened: target.SpeculateOpen[],
  { vocabSize, beforeVerdict = async () => {}, acceptsEverything = false }: MarkovTargetOptions,
): AsyncGenerator<target.SpeculateVerdict> {
  let open: target.SpeculateOpen | undefined
  let processors: LogitProcessors | undefined
  let tokens: number[] = []
  let emitted = 0
  let round = 0
  for await (const { message } of requests) {
    await beforeVerdict(round++)
    if (message?.$case === 'open') {
      open = message.value
      opened.push(open)
      tokens = [...open.promptTokenIds]
      processors = open.sampling && logitProcessors(open.sampling, tokens)
    }
    if (open?.sampling === undefined)
      throw new PlateauError('INVALID_ARGUMENT', 'the first message must open the response')
    const { temperature, topK, topP, maxTokens, seed, stopTokenIds, logprobs } = open.sampling
    const sampling = { temperature, topK, topP: topP || 1, processors }
    const random = seededRandom(seed + tokens.length)
    const proposal = message?.$case === 'proposal' ? message.value : target.SpeculateProposal.create()
    const context = [...tokens, ...proposal.tokenIds]
    const rows = context.slice(tokens.length - 1).map((token) => markovLogits(token, vocabSize))
    const judged = rows.map((row, i) => {
      return denseTargetRow(transformLogits(row, sampling, proposal.tokenIds.slice(0, i)))
    })
    const verdict =
      proposal.tokenIds.length === 0 || acceptsEverything
        ? { accepted: proposal.tokenIds.length, nextToken: await drawToken(judged.at(-1)!, random) }
        : await verifyProposal({ tokens: proposal.tokenIds, q: unpackRows(proposal.q), rows: judged, random })

    let fresh: number[] = [...proposal.tokenIds.slice(0, verdict.accepted), verdict.nextToken]
    const end = fresh.findIndex((token) => token === 0 || stopTokenIds.includes(token))
    if (end >= 0) fresh = fresh.slice(0, end + 1)
    fresh = fresh.slice(0, maxTokens - emitted)
    emitted += fresh.length
    const sources = [
      ...tokens.slice(-(message?.$case === 'open' ? open.promptFeatures || 1 : 1)),
      ...fresh.slice(0, -1),
    ]
    tokens.push(...fresh)
    processors?.record(fresh)
    const accepted = Math.min(verdict.accepted, fresh.length)
    yield {
      accepted,
      nextTokenId: fresh[accepted],
      finishReason: end >= 0 ? 1 : emitted >= maxTokens ? 2 : 0,
      features: packFloats(sources.flatMap(feature), FloatFormat.FLOAT_FORMAT_FP32),
      alpha: unpackRows(proposal.rawQ)
        .slice(0, verdict.accepted + 1)
        .map((q, i) => alphaOf(q, rows[i]!)),
      // As of a large target: what a small draft takes is nothing beside it.
      stepUs: 20_000 + 800 * proposal.tokenIds.length,
      shadowAlpha: unpackRows(proposal.shadowQ).map((q) => alphaOf(q, rows[0]!)),
      logprobs: logprobs === 0 ? [] : fresh.map((token, i) => logProbsOf(token, rows[i]!, logprobs - 1)),
    }
    if (end >= 0 || emitted >= maxTokens) return
  }
}

function feature(token: number): number[] {
  const row = Array.from({ length: HIDDEN }, (_, i) => Math.sin(token * (i + 1)))
  row[0] = token
  return row
}

function unpackRows(top: TopK | undefined): SparseDistribution[] {
  if (top === undefined) return []
  const probs = unpackTopK(top)
  return Array.from({ length: top.positions }, (_, i) => ({
    ids: top.ids.slice(i * top.k, (i + 1) * top.k),
    probs: probs.slice(i * top.k, (i + 1) * top.k),
  }))
}

const RAW = { temperature: 1, topK: 0, topP: 1 }

function alphaOf({ ids, probs }: SparseDistribution, logits: Float64Array): number {
  const q = new Float64Array(logits.length)
  for (let j = 0; j < ids.length; j++) q[ids[j]!] = probs[j]!
  return denseOverlap(transformLogits(logits, RAW), q)
}

function logProbsOf(token: number, logits: Float64Array, alternatives: number): target.TokenLogProbs {
  const logProbs = transformLogits(logits, RAW).map(Math.log)
  const topIds = Array.from(logProbs.keys())
    .sort((a, b) => logProbs[b]! - logProbs[a]! || a - b)
    .slice(0, alternatives)
  return { logProb: logProbs[token]!, topIds, topLogProbs: topIds.map((id) => logProbs[id]!) }
}
