import { target, type TokenWindow } from '@plateau/contracts'
import { loadTokenizer, type Tokenizer } from '@plateau/model-files'
import { callServerStream, callUnary, createClient, ready, type ChannelSettings } from '@plateau/rpc'

export interface GenerateOptions {
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  /** Given: the response is captured under this name. */
  readonly sampleId?: string
  /** A label of the captured response. */
  readonly domain?: string
  /** The model's own end tokens end the response; otherwise nothing does early. */
  readonly untilEnd?: boolean
}

/** The few calls that the demo and the benchmarks make to target-model directly. */
export class TargetClient {
  private constructor(
    readonly client: target.TargetServiceClient,
    readonly tokenizer: Tokenizer,
  ) {}

  static async connect(address: string, modelDirectory: string, channel?: ChannelSettings): Promise<TargetClient> {
    const client = createClient(target.TargetServiceClient, address, channel)
    await ready(client, 10_000)
    return new TargetClient(client, await loadTokenizer(modelDirectory))
  }

  /** Raw distributions at every position of a given response. */
  score(prompt: string, responseTokenIds: readonly number[]): Promise<TokenWindow> {
    return this.scoreTokens(this.tokenizer.encode(prompt), responseTokenIds)
  }

  async scoreTokens(promptTokenIds: readonly number[], responseTokenIds: readonly number[]): Promise<TokenWindow> {
    const request = { promptTokenIds: [...promptTokenIds], responseTokenIds: [...responseTokenIds] }
    const response = await callUnary<target.ScoreRequest, target.ScoreResponse>(
      (...call) => this.client.score(...call),
      request,
      {
        deadlineMs: 30_000,
      },
    )
    return response.window!
  }

  /** Plain decoding; returns how many tokens came. */
  async generate(promptTokenIds: number[], options: GenerateOptions): Promise<number> {
    const { maxTokens, temperature, seed, sampleId, domain = '', untilEnd = false } = options
    const sampling = target.SamplingParams.fromPartial({ temperature, topP: 1, seed, maxTokens, ignoreEos: !untilEnd })
    const capture = { consent: sampleId !== undefined, sampleId: sampleId ?? '', tenant: '', domain }
    const request = { promptTokenIds, sampling, capture }
    let tokens = 0
    const deadlineMs = 600_000
    for await (const _ of callServerStream((...call) => this.client.generate(...call), request, { deadlineMs }))
      tokens++
    return tokens
  }

  close(): void {
    this.client.close()
  }
}
