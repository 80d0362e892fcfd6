import { Rollout, RolloutState, topics } from '@plateau/contracts'
import type { EventLog, Reader } from '@plateau/event-log'
import { BenchError } from '../bench-error.js'
import { LINEAGE } from './draft-publisher.js'

export { RolloutState } from '@plateau/contracts'

/** What became of every version, from the public topic. */
export class RolloutHistory {
  readonly records: Rollout[] = []
  readonly #reader: Reader
  readonly #loop: Promise<void>
  #heard = Promise.withResolvers<void>()

  constructor(log: EventLog) {
    this.#reader = log.reader({ topic: topics.rollouts.name, from: 'earliest' })
    this.#loop = this.#follow()
  }

  /** Of one version, in order. */
  of(version: number): Rollout[] {
    return this.records.filter((record) => record.version === version)
  }

  /** The newest version that is live, as far as is known; 0: none. */
  get live(): number {
    return this.records.findLast(({ state }) => state === RolloutState.ROLLOUT_STATE_LIVE)?.version ?? 0
  }

  /** The version's first record in one of these states; undefined when there is none within so long. */
  async reached(version: number, states: readonly RolloutState[], withinMs: number): Promise<Rollout | undefined> {
    const untilMs = performance.now() + withinMs
    for (;;) {
      const found = this.of(version).find(({ state }) => states.includes(state))
      const leftMs = untilMs - performance.now()
      if (found !== undefined || leftMs <= 0) return found
      await this.#hear(leftMs)
    }
  }

  /** Throws BenchError where it is not live within so long. */
  async mustBeLive(version: number, withinMs: number): Promise<Rollout> {
    const { ROLLOUT_STATE_LIVE: live, ROLLOUT_STATE_REJECTED: rejected } = RolloutState
    const found = await this.reached(version, [live, rejected], withinMs)
    if (found?.state === live) return found
    const why = found?.reason ?? `nothing was heard of it for ${withinMs / 1000} s`
    throw new BenchError(`version ${version} is not live: ${why}`)
  }

  async close(): Promise<void> {
    await this.#reader.close()
    await this.#loop
  }

  async #hear(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs)
    })
    await Promise.race([this.#heard.promise, late])
    clearTimeout(timer)
  }

  async #follow(): Promise<void> {
    for await (const { records } of this.#reader) {
      for (const { key, value } of records)
        if (key === LINEAGE && value !== null) this.records.push(Rollout.decode(value))
      this.#heard.resolve()
      this.#heard = Promise.withResolvers()
    }
  }
}
