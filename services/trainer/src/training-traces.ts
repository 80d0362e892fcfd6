import { isSampled, MAX_LINKS, startSpan } from '@plateau/telemetry'

export type Stage = 'closed-form' | 'gradients'

/** Windows that came into training since a stage last said so in a span. */
interface Arrived {
  windows: number
  readonly traceparents: Set<string>
}

/**
 * How the traces of many windows lead to one version: every solution, and the first gradient step, after new windows is a
 * span that links them and continues the newest one that is sampled; the version continues that span. Steps that only
 * replay what is there have none: there would be thousands in one trace.
 */
export class TrainingTraces {
  readonly #arrived: Readonly<Record<Stage, Arrived>> = { 'closed-form': nothing(), gradients: nothing() }
  #newest: string | undefined
  #trained: string | undefined

  /** A window is trained on from now on. */
  admitted({ traceparent }: { readonly traceparent: string | undefined }): void {
    for (const arrived of Object.values(this.#arrived)) {
      arrived.windows += 1
      // Windows of one response share most of a trace, but each was scored in a span of its own.
      if (traceparent !== undefined && arrived.traceparents.size < MAX_LINKS) arrived.traceparents.add(traceparent)
    }
    if (traceparent !== undefined && (isSampled(traceparent) || !isSampled(this.#newest))) this.#newest = traceparent
  }

  /** Something was learned; `positions`: over the life of the lineage. */
  trained(stage: Stage, positions: number, startedMs: number): void {
    const { windows, traceparents } = this.#arrived[stage]
    if (windows === 0) return
    const span = startSpan('train {stage}', {
      of: { stage },
      parent: this.#newest,
      links: traceparents,
      startedMs,
      attributes: {
        'plateau.training.stage': stage,
        'plateau.training.windows': windows,
        'plateau.training.positions': positions,
      },
    })
    span.end()
    this.#trained = span.traceparent
    this.#arrived[stage].windows = 0
    traceparents.clear()
  }

  /** What a version that is published now continues. */
  get traceparent(): string | undefined {
    return this.#trained ?? this.#newest
  }
}

function nothing(): Arrived {
  return { windows: 0, traceparents: new Set() }
}
