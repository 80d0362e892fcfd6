import type { PromptSet } from '@plateau/demo'
import { setTimeout as sleep } from 'node:timers/promises'
import { streamCompletion, type StreamedCompletion, type StreamedRequest } from './streamed-completion.js'

export interface SteadyLoadOptions {
  readonly url: string
  readonly clients: number
  readonly maxTokens: number
  /** Taken in turn. */
  readonly temperatures: readonly number[]
  /** Requests name their domain, by which serving may choose a draft. */
  readonly labelled: boolean
  readonly onCompletion: (completion: StreamedCompletion) => void
}

/** Clients that stream one answer after the other for as long as it runs, with capture on, from prompts that may change. */
export class SteadyLoad {
  readonly failures: string[] = []
  #prompts: readonly { readonly domain: string; readonly text: string }[] = []
  #sent = 0
  #stopping = false
  #clients: Promise<void>[] = []
  readonly #inHand = new Set<Promise<void>>()

  constructor(private readonly options: SteadyLoadOptions) {}

  /** Requests so far. */
  get sent(): number {
    return this.#sent
  }

  /** What is asked from now on: the domains in turn. */
  switchTo(domains: readonly PromptSet[]): void {
    const most = Math.max(...domains.map(({ prompts }) => prompts.length))
    this.#prompts = Array.from({ length: most }, (_, i) =>
      domains.map(({ name, prompts }) => ({ domain: name, text: prompts[i % prompts.length]! })),
    ).flat()
  }

  start(): void {
    this.#clients = Array.from({ length: this.options.clients }, () => this.#client())
  }

  /** Lets every client finish the answer in hand. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#clients)
  }

  /** Resolves when all answers that are under way now have ended. */
  async drained(): Promise<void> {
    await Promise.all(this.#inHand)
  }

  async #client(): Promise<void> {
    while (!this.#stopping) {
      const one = this.#ask(this.#next())
      this.#inHand.add(one)
      await one
      this.#inHand.delete(one)
    }
  }

  async #ask(request: StreamedRequest): Promise<void> {
    try {
      this.options.onCompletion(await streamCompletion(this.options.url, request))
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error))
      // A server that is away must not be hammered.
      await sleep(200)
    }
  }

  #next(): StreamedRequest {
    const { maxTokens, temperatures, labelled } = this.options
    const index = this.#sent++
    const { domain, text } = this.#prompts[index % this.#prompts.length]!
    return {
      prompt: text,
      maxTokens,
      // Not in step with the domains.
      temperature: temperatures[Math.floor(index / 2) % temperatures.length]!,
      seed: index + 1,
      domain: labelled ? domain : '',
      speculate: true,
      capture: true,
    }
  }
}
