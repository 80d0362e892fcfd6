/**
 *            start()            stop(0)           done
 *  starting ─────────▶ running ─────────▶ draining ─────▶ stopped
 *      │                  │                   ▲
 *      └──── stop(1) ─────┴───── stop(1) ─────┘
 *
 * Draining happens once; a second stop only raises the exit code. Every state is left within a bound.
 */
export type LifecycleState = 'starting' | 'running' | 'draining' | 'stopped'

const allowed: Readonly<Record<LifecycleState, readonly LifecycleState[]>> = {
  starting: ['running', 'draining'],
  running: ['draining'],
  draining: ['stopped'],
  stopped: [],
}

export class Lifecycle {
  #state: LifecycleState = 'starting'
  #exitCode = 0

  get state(): LifecycleState {
    return this.#state
  }

  get exitCode(): number {
    return this.#exitCode
  }

  /** The highest code asked for wins: a failure during a clean drain is a failure. */
  raise(exitCode: number): void {
    this.#exitCode = Math.max(this.#exitCode, exitCode)
  }

  move(next: LifecycleState): void {
    if (!allowed[this.#state].includes(next)) throw new Error(`a service cannot go from ${this.#state} to ${next}`)
    this.#state = next
  }

  /** Why the service is not ready, or undefined. */
  whyNotReady(): string | undefined {
    return this.#state === 'running' ? undefined : this.#state
  }
}
