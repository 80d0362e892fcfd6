import { messageOf, PlateauError, target } from '@plateau/contracts'
import type { WeightFormat } from '@plateau/causal-lm'
import { targetAsDraft } from '@plateau/inference'
import { loadTokenizer, readModelDirectory } from '@plateau/model-files'
import { modelsDirectory, resolveModel } from '@plateau/model-hub'
import { callServerStream, callUnary, createClient } from '@plateau/rpc'
import { logitProcessors, seededRandom, type Draft } from '@plateau/speculation'
import type { Context, ExitCode } from '../command.js'
import { table } from '../table.js'
import { openChannels } from '../transport.js'
import { readPromptFiles } from '../train/prompt-file.js'
import { judgeCases, NEAR_TIE_GAP, TOLERANCES, type CaseResult, type Judgement } from './judge-cases.js'
import { builtInPrompts, samplingOf, selftestCases, type SelftestCase } from './selftest-cases.js'
import { speculateResponse } from './speculate-response.js'

export interface SelftestOptions {
  readonly address: string
  readonly model: string
  readonly prompts: string | undefined
  readonly weights: WeightFormat
  readonly maxTokens: number
  /** Undefined: by the format. */
  readonly tolerance: number | undefined
}

/** Tokens of a round; fewer where its message would be too large. */
const MAX_PROPOSAL = 5
const MAX_ROUND_BYTES = 8 * 1024 * 1024
/** An id and a probability of q, and the same of raw q. */
const BYTES_PER_LISTED = 16
const DEADLINE_MS = 120_000
const SEED = 20_261

/** The target as its own draft, over a real stream: everything must be accepted. 1 when it is not. */
export async function runSelftest(context: Context, options: SelftestOptions): Promise<ExitCode> {
  const { address, weights, tolerance = TOLERANCES[weights] } = options
  const path = await resolveModel(options.model, { directory: modelsDirectory(context.environment) })
  const channels = await openChannels(context)
  const client = createClient(target.TargetServiceClient, address, channels.to('target-model'))
  try {
    const described = await describe(client, address, context.signal)
    context.say(`loading ${path} as a draft`)
    const model = await readModelDirectory(path)
    mustBeSame(described, model, address)
    const prompts = await encodedPrompts(path, options.prompts)
    const { vocabSize, maxProposal } = described
    const fitting = Math.max(1, Math.floor(MAX_ROUND_BYTES / (BYTES_PER_LISTED * vocabSize)))
    const draft = await targetAsDraft(model, {
      version: 'selftest',
      maxProposal: Math.min(MAX_PROPOSAL, maxProposal, fitting),
      // Weights of 4 bits are those of a file, which a draft does not have; as 8 bits they are nearly the same.
      weightFormat: weights === 'int4' ? 'int8' : weights,
    })
    try {
      const results: CaseResult[] = []
      for (const one of selftestCases) {
        context.say(`temperature ${one.name}`)
        results.push(await runCase(client, draft, prompts, one, options.maxTokens, context.signal))
      }
      const judgement = judgeCases(results, weights, tolerance)
      context.report({
        json: {
          address,
          weights,
          tolerance,
          ok: judgement.failed.length === 0,
          meaning: judgement.meaning,
          cases: results,
        },
        text: report(results, judgement, weights),
      })
      return judgement.failed.length === 0 ? 0 : 1
    } finally {
      await draft.release()
    }
  } finally {
    client.close()
    channels.close()
  }
}

async function describe(
  client: target.TargetServiceClient,
  address: string,
  signal: AbortSignal,
): Promise<target.DescribeResponse> {
  try {
    return await callUnary<target.DescribeRequest, target.DescribeResponse>(
      client.describe.bind(client),
      {},
      { deadlineMs: 10_000, signal },
    )
  } catch (error) {
    if (!(error instanceof PlateauError) || error.code !== 'UNAVAILABLE') throw error
    const message = `no target-model answers at ${address}: is it running, with PLATEAU_TARGET_ADDRESS there, and does it have certificates (PLATEAU_TLS_CERT_FILE) exactly where this command has?`
    throw new PlateauError('UNAVAILABLE', `${message} (${messageOf(error)})`, { facts: { address }, cause: error })
  }
}

function mustBeSame(
  { targetFingerprint, tokenizerHash, modelId }: target.DescribeResponse,
  model: { readonly fingerprint: string; readonly tokenizerHash: string },
  address: string,
): void {
  const what =
    targetFingerprint !== model.fingerprint
      ? 'its weights and configuration are others'
      : tokenizerHash !== model.tokenizerHash
        ? 'its tokenizer is another'
        : undefined
  if (what === undefined) return
  throw new PlateauError('TARGET_MISMATCH', `${modelId} at ${address} is not the model of --model: ${what}`, {
    facts: { address, found: targetFingerprint, expected: model.fingerprint },
  })
}

async function encodedPrompts(path: string, file: string | undefined): Promise<number[][]> {
  const tokenizer = await loadTokenizer(path)
  const texts = file === undefined ? builtInPrompts : (await readPromptFiles(file)).map(({ text }) => text)
  return texts.map((text) => tokenizer.encode(text)).filter((tokens) => tokens.length > 0)
}

async function runCase(
  client: target.TargetServiceClient,
  draft: Draft,
  prompts: readonly (readonly number[])[],
  one: SelftestCase,
  maxTokens: number,
  signal: AbortSignal,
): Promise<CaseResult> {
  const settings = { deadlineMs: DEADLINE_MS, signal }
  const counts = { proposed: 0, accepted: 0, answers: 0, equalAnswers: 0, nearTies: 0 }
  const alpha: number[] = []
  for (const [i, prompt] of prompts.entries()) {
    const params = samplingOf(one, { maxTokens, seed: SEED + i, biased: prompt[0]! })
    const response = await speculateResponse(client, prompt, params, {
      draft,
      random: seededRandom(SEED + i),
      maxProposal: draft.maxProposal,
      settings,
    })
    counts.proposed += response.judged
    counts.accepted += response.accepted
    alpha.push(...response.alpha)
    if (one.temperature > 0) continue
    const plain = await plainTokens(client, prompt, params, settings)
    const at = plain.findIndex((token, position) => token !== response.tokens[position])
    counts.answers++
    if (at < 0 && plain.length === response.tokens.length) counts.equalAnswers++
    else if ((await gapAt(client, prompt, params, plain, response.tokens, at, settings)) < NEAR_TIE_GAP)
      counts.nearTies++
  }
  const alphaMean = alpha.reduce((sum, value) => sum + value, 0) / alpha.length
  return { ...one, ...counts, alphaMean }
}

type Settings = { readonly deadlineMs: number; readonly signal: AbortSignal }

async function plainTokens(
  client: target.TargetServiceClient,
  prompt: readonly number[],
  sampling: target.SamplingParams,
  settings: Settings,
): Promise<number[]> {
  const request = target.GenerateRequest.fromPartial({ promptTokenIds: [...prompt], sampling })
  const tokens: number[] = []
  for await (const { tokenId } of callServerStream((...call) => client.generate(...call), request, settings)) {
    tokens.push(tokenId)
  }
  return tokens
}

/** How far apart the logits are, after penalties and biases, of the two tokens where the answers part. */
async function gapAt(
  client: target.TargetServiceClient,
  prompt: readonly number[],
  sampling: target.SamplingParams,
  plain: readonly number[],
  speculated: readonly number[],
  at: number,
  settings: Settings,
): Promise<number> {
  const before = plain.slice(0, at)
  const processors = logitProcessors(sampling, prompt)
  processors?.record(before)
  const logitOf = async (token: number | undefined): Promise<number> => {
    if (token === undefined) return Number.NEGATIVE_INFINITY
    const request = { promptTokenIds: [...prompt], responseTokenIds: [...before, token] }
    const { window } = await callUnary<target.ScoreRequest, target.ScoreResponse>(
      client.score.bind(client),
      request,
      settings,
    )
    const logit = window!.tokenLogProb.at(-1)! + window!.logSumExp.at(-1)!
    return processors?.adjust(token, logit, []) ?? logit
  }
  return Math.abs((await logitOf(plain[at])) - (await logitOf(speculated[at])))
}

function report(
  results: readonly CaseResult[],
  { tolerance, failed, meaning }: Judgement,
  weights: WeightFormat,
): string {
  const rows = results.map((result) => {
    const { name, proposed, accepted, alphaMean, answers, equalAnswers, nearTies } = result
    const ties = nearTies === 0 ? '' : `, ${nearTies} part at a tie`
    const equal = answers === 0 ? undefined : `${equalAnswers} of ${answers}${ties}`
    const verdict = failed.includes(result) ? 'FAILED' : 'ok'
    return [name, proposed, accepted, (accepted / proposed).toFixed(4), alphaMean.toFixed(5), equal, verdict]
  })
  const heads = ['temperature', 'proposed', 'accepted', 'rate', 'alpha', 'answers as plain', '']
  const why = `with ${weights} weights the rate may be ${Number((1 - tolerance).toFixed(6))} at least`
  const end = failed.length === 0 ? `${why}: it is` : `${why}: it is not\n${meaning}`
  return `${table(heads, rows)}\n${end}\n`
}
