import { setTimeout as sleep } from 'node:timers/promises'
import { complete, type Completion, type CompletionRequest } from './completions.js'

/** A greedy answer to be compared with plain decoding later. */
export interface GreedyAnswer {
  readonly request: CompletionRequest
  readonly completion: Completion
}

export interface TrafficOptions {
  readonly url: string
  readonly clients: number
  readonly maxTokens: number
  /** Greedy answers kept for the comparison with plain decoding, spread over the run. */
  readonly greedyKept: number
}

/** One request in four is greedy; the others sample, half of them at a temperature below 1. */
const temperatures = [1, 0.7, 1, 0] as const

/** Concurrent clients, each sending one request after the other, from a list of prompts that can change meanwhile. */
export class Traffic {
  readonly greedyAnswers: GreedyAnswer[] = []
  readonly failures: string[] = []
  completed = 0
  #prompts: readonly string[] = []
  #domain = ''
  #sent = 0
  #greedySeen = 0
  #stopping = false
  #clients: Promise<void>[] = []

  constructor(private readonly options: TrafficOptions) {}

  /** What is asked from now on. */
  switchTo(domain: string, prompts: readonly string[]): void {
    this.#domain = domain
    this.#prompts = prompts
  }

  start(): void {
    this.#clients = Array.from({ length: this.options.clients }, () => this.#client())
  }

  /** Lets every client finish the request in hand. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#clients)
  }

  async #client(): Promise<void> {
    while (!this.#stopping) {
      const request = this.#next()
      try {
        const completion = await complete(this.options.url, request)
        this.completed++
        if (request.temperature === 0) this.#keep({ request, completion })
      } catch (error) {
        this.failures.push(error instanceof Error ? error.message : String(error))
        // A server that is away must not be hammered.
        await sleep(200)
      }
    }
  }

  #next(): CompletionRequest {
    const index = this.#sent++
    return {
      prompt: this.#prompts[index % this.#prompts.length]!,
      maxTokens: this.options.maxTokens,
      temperature: temperatures[index % temperatures.length]!,
      seed: index + 1,
      domain: this.#domain,
      stream: index % 3 === 0,
    }
  }

  /** Reservoir sampling without randomness: every answer while there is room, then every second slot in turn. */
  #keep(answer: GreedyAnswer): void {
    const seen = this.#greedySeen++
    if (this.greedyAnswers.length < this.options.greedyKept) this.greedyAnswers.push(answer)
    else if (seen % 2 === 0) this.greedyAnswers[(seen / 2) % this.options.greedyKept] = answer
  }
}
