import { topics } from '@plateau/contracts'
import { inSpan, messagingAttributes, startSpan, type WorkSpan } from '@plateau/telemetry'
import type { ServedPhase } from './served-version.js'

/** One version's way on this server as spans: from what brought it, over each step, until it is live or out. */
export class RolloutTrace {
  readonly #about: { readonly 'plateau.lineage': string; readonly 'plateau.draft.version': string }
  readonly #whole: WorkSpan<'roll out version'>
  #phase: WorkSpan<'{phase} version'> | undefined

  /** `cause`: traceparent of its publication, or of the order that names it. */
  constructor(lineage: string, version: number, cause: string | undefined) {
    this.#about = { 'plateau.lineage': lineage, 'plateau.draft.version': String(version) }
    const attributes = { ...messagingAttributes('process', topics.draftCheckpoints.name), ...this.#about }
    this.#whole = startSpan('roll out version', { parent: cause, attributes })
  }

  get traceparent(): string | undefined {
    return this.#whole.traceparent
  }

  /** A piece of work on the way. */
  step<T>(name: 'verify version' | 'probe version', work: () => Promise<T>): Promise<T> {
    return inSpan(name, { parent: this.traceparent, attributes: this.#about }, work)
  }

  /** Ends the phase before. */
  enter(phase: ServedPhase): void {
    this.#phase?.end()
    this.#phase = startSpan('{phase} version', { of: { phase }, parent: this.traceparent, attributes: this.#about })
  }

  /** New requests use it; `swapMs` after its announcement, `startedMs` is when that began. */
  swapped(startedMs: number, swapMs: number): void {
    const attributes = { ...this.#about, 'plateau.swap_ms': swapMs }
    startSpan('swap version', { parent: this.traceparent, startedMs, attributes }).end()
    this.end('live')
  }

  /** Idempotent: the first outcome counts. */
  end(outcome: 'live' | 'rejected' | 'put off' | 'replaced' | 'stopped', error?: unknown): void {
    this.#phase?.end()
    this.#whole.set({ 'plateau.rollout.outcome': outcome })
    this.#whole.end(error)
  }
}
