import { messageOf } from '@plateau/contracts'
import { complete } from '@plateau/demo'
import { setTimeout as sleep } from 'node:timers/promises'

const TRIES_MS = 20_000

/** One failed request, as its user saw it. */
export interface Failure {
  readonly atMs: number
  readonly message: string
}

/**
 * Clients that ask all the time. Like the official SDKs they try a request again when the connection broke or the server
 * said 503; a request has failed when it is not answered within 20 s, or is refused for another reason.
 */
export class Users {
  readonly failures: Failure[] = []
  answered = 0
  /** Tries that had to be repeated. */
  retried = 0
  #stopping = false
  #loops: Promise<void>[] = []

  constructor(
    private readonly urls: readonly string[],
    private readonly prompts: readonly string[],
    private readonly clients: number,
  ) {}

  start(): void {
    this.#stopping = false
    this.#loops = Array.from({ length: this.clients }, (_, i) => this.#client(i))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#loops)
  }

  async #client(client: number): Promise<void> {
    for (let i = client; !this.#stopping; i += this.clients) {
      const prompt = this.prompts[i % this.prompts.length]!
      await this.#ask(
        { prompt, maxTokens: 24, temperature: i % 2, seed: i + 1, domain: 'sotu', stream: i % 3 === 0 },
        i,
      )
      await sleep(50)
    }
  }

  async #ask(request: Parameters<typeof complete>[1], turn: number): Promise<void> {
    const giveUpAtMs = Date.now() + TRIES_MS
    for (let attempt = turn; ; attempt++) {
      try {
        // Another server each time, as a load balancer would choose.
        await complete(this.urls[attempt % this.urls.length]!, request, AbortSignal.timeout(TRIES_MS))
        this.answered++
        return
      } catch (error) {
        const message =
          error instanceof Error && error.cause ? `${error.message}: ${messageOf(error.cause)}` : messageOf(error)
        if (Date.now() > giveUpAtMs || /HTTP 4\d\d/.test(message)) {
          this.failures.push({ atMs: Date.now(), message })
          return
        }
        this.retried++
        await sleep(200)
      }
    }
  }
}
