/** Seconds of CPU that this process has used, all threads together. A test passes another. */
export type CpuSeconds = () => number

export const cpuSeconds: CpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** What was spent on each of several things, in seconds of CPU. */
export class CpuMeter<Thing extends string> {
  readonly #now: CpuSeconds
  readonly #spent = new Map<Thing, number>()

  constructor(now: CpuSeconds) {
    this.#now = now
  }

  async spend<T>(on: Thing, work: () => T | Promise<T>): Promise<T> {
    const began = this.#now()
    try {
      return await work()
    } finally {
      this.#spent.set(on, this.spentOn(on) + this.#now() - began)
    }
  }

  spentOn(thing: Thing): number {
    return this.#spent.get(thing) ?? 0
  }
}
