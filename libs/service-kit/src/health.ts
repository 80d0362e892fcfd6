/** Says how a service is: alive while every loop that must move does, ready while every condition holds. */
export interface Health {
  /**
   * Registers a loop that must show progress at least every `maxSilenceMs`. A loop that only waits for work beats too:
   * call `beat` on every turn, idle ones included.
   */
  progress(name: string, maxSilenceMs: number): Progress
  /** Registers a condition of readiness: undefined when it holds, else why not. */
  ready(name: string, whyNot: () => string | undefined): void
  /** Registers what whoever looks should know although we are ready: undefined when there is nothing to say. */
  note(name: string, what: () => string | undefined): void
  /** Whether every condition holds now: what /readyz answers. */
  readiness(): HealthAnswer
}

export interface Progress {
  beat(): void
  /** The loop has ended on purpose. */
  done(): void
}

export interface HealthAnswer {
  readonly ok: boolean
  readonly reasons: Readonly<Record<string, string>>
  readonly notes?: Readonly<Record<string, string>>
}

export class HealthBoard implements Health {
  readonly #clock: () => number
  readonly #loops = new Map<string, { lastMs: number; readonly maxSilenceMs: number }>()
  readonly #conditions = new Map<string, () => string | undefined>()
  readonly #notes = new Map<string, () => string | undefined>()

  constructor(clock: () => number) {
    this.#clock = clock
  }

  progress(name: string, maxSilenceMs: number): Progress {
    const loop = { lastMs: this.#clock(), maxSilenceMs }
    this.#loops.set(name, loop)
    return {
      beat: () => {
        loop.lastMs = this.#clock()
      },
      done: () => this.#loops.delete(name),
    }
  }

  ready(name: string, whyNot: () => string | undefined): void {
    this.#conditions.set(name, whyNot)
  }

  note(name: string, what: () => string | undefined): void {
    this.#notes.set(name, what)
  }

  liveness(): HealthAnswer {
    const nowMs = this.#clock()
    const stalled = [...this.#loops].filter(([, loop]) => nowMs - loop.lastMs > loop.maxSilenceMs)
    return answer(
      stalled.map(([name, loop]) => [name, `no progress for ${Math.round((nowMs - loop.lastMs) / 1000)} s`]),
    )
  }

  readiness(): HealthAnswer {
    const notes = said(this.#notes)
    return { ...answer(said(this.#conditions)), ...(notes.length === 0 ? {} : { notes: Object.fromEntries(notes) }) }
  }
}

function said(asked: ReadonlyMap<string, () => string | undefined>): (readonly [string, string])[] {
  const answers = [...asked].map(([name, say]) => [name, say()] as const)
  return answers.filter((entry): entry is readonly [string, string] => entry[1] !== undefined)
}

function answer(reasons: readonly (readonly [string, string])[]): HealthAnswer {
  return { ok: reasons.length === 0, reasons: Object.fromEntries(reasons) }
}
