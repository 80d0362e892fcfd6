import { setTimeout as sleep } from 'node:timers/promises'
import { complete } from '@plateau/demo'

/** Clients that never stop asking, each its own server of several, and remember when an answer failed. */
export class Clients {
  readonly failedAtMs: number[] = []
  /** What was said of each. */
  readonly reasons: string[] = []
  answered = 0
  #stopping = false
  readonly #loops: Promise<void>[]

  constructor(urls: readonly string[], prompts: readonly string[], count: number) {
    this.#loops = Array.from({ length: count }, (_, i) => this.#loop(urls[i % urls.length]!, prompts, i))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#loops)
  }

  async #loop(url: string, prompts: readonly string[], client: number): Promise<void> {
    for (let i = client; !this.#stopping; i += 3) {
      const prompt = prompts[i % prompts.length]!
      try {
        await complete(url, { prompt, maxTokens: 40, temperature: i % 2, seed: i + 1, domain: 'sotu' })
        this.answered++
      } catch (error) {
        this.failedAtMs.push(Date.now())
        this.reasons.push(error instanceof Error ? error.message : String(error))
        await sleep(100)
      }
    }
  }
}
