import {
  encodeHeaders,
  Rollout,
  RolloutOrder,
  RolloutOrderKind,
  topics,
  type DraftCheckpoint,
  type RolloutEvidence,
  type RolloutState,
} from '@plateau/contracts'
import { randomUUID } from 'node:crypto'
import type { Outbox } from '../outbox.js'

export interface RolloutReporterOptions {
  /** Which serving process. */
  readonly server: string
  readonly outbox: Outbox
  readonly clock: () => number
}

export interface RolloutDetails {
  readonly swapMs?: number
  /** What it was compared with, or what takes its place. */
  readonly otherVersion?: number
  readonly evidence?: RolloutEvidence | undefined
  /** Name of an operator's key. */
  readonly orderedBy?: string
  /** Of the span that did it. */
  readonly traceparent?: string | undefined
}

/** Kinds of orders that a version, or its lineage, has one of at a time. */
export type OrderKind = Exclude<
  RolloutOrderKind,
  RolloutOrderKind.ROLLOUT_ORDER_KIND_UNSPECIFIED | RolloutOrderKind.UNRECOGNIZED
>

export interface OrderDetails {
  readonly reason: string
  /** An operator's key, or empty: this process decided by itself. */
  readonly orderedBy: string
  /** It is on the topic already: another server's, which this one follows. */
  readonly isFollowed?: boolean
  readonly checkpoint?: DraftCheckpoint | undefined
}

const { ROLLOUT_ORDER_KIND_LIVE: LIVE, ROLLOUT_ORDER_KIND_PIN: PIN, ROLLOUT_ORDER_KIND_UNPIN: UNPIN } = RolloutOrderKind

/** Says what happened to a version, and what every serving process must know of it. A log that is down delays the records, never the swap. */
export class RolloutReporter {
  readonly #options: RolloutReporterOptions
  #orders = 0

  constructor(options: RolloutReporterOptions) {
    this.#options = options
  }

  report(lineage: string, version: number, state: RolloutState, reason: string, details: RolloutDetails = {}): void {
    const { server, clock } = this.#options
    const { swapMs = 0, otherVersion = 0, evidence, orderedBy = '', traceparent } = details
    const atMs = clock()
    const rollout: Rollout = {
      schemaVersion: 1,
      lineage,
      version,
      state,
      reason,
      server,
      atMs,
      swapMs: Math.round(swapMs),
      otherVersion,
      evidence,
      orderedBy,
    }
    const headers = this.#headers(topics.rollouts.messageType, lineage, atMs, traceparent)
    this.#options.outbox.add(topics.rollouts.name, { key: lineage, value: Rollout.encode(rollout).finish(), headers })
  }

  order(lineage: string, kind: OrderKind, version: number, details: OrderDetails): void {
    const { server, clock, outbox } = this.#options
    const { reason, checkpoint } = details
    const atMs = clock()
    const orderedBy = details.orderedBy || server
    const order: RolloutOrder = { schemaVersion: 1, lineage, kind, version, reason, orderedBy, atMs, checkpoint }
    const id = `${server}/${this.#orders++}`
    const headers = this.#headers(topics.rolloutOrders.messageType, lineage, atMs, undefined, id)
    const value = RolloutOrder.encode(order).finish()
    outbox.add(topics.rolloutOrders.name, { key: orderKey(lineage, kind, version), value, headers })
  }

  /** Whether the `ce_id` of an order is one of this process: what it says was done before it was written. */
  isOwn(id: string): boolean {
    return id.startsWith(`${this.#options.server}/`)
  }

  #headers(type: string, subject: string, timeMs: number, traceparent: string | undefined, id: string = randomUUID()) {
    return encodeHeaders({ id, source: '/plateau/serving', type, timeMs, subject, traceparent })
  }
}

/** The newest order of a key counts. */
export function orderKey(lineage: string, kind: OrderKind, version: number): string {
  if (kind === LIVE) return `${lineage}/live`
  return kind === PIN || kind === UNPIN ? `${lineage}/pin` : `${lineage}/version/${version}`
}
