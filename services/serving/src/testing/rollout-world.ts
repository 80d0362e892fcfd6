import { DraftCheckpoint, PlateauError, Rollout, RolloutOrder, RolloutState, topics } from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'
import { standardTrial } from '@plateau/rollout'
import { seededRandom, type Draft } from '@plateau/speculation'
import { silentLogger } from '@plateau/telemetry'
import type { Outbox } from '../outbox.js'
import { HeldOutWindows } from '../rollouts/held-out-windows.js'
import { LineageRollout, type LineageRolloutOptions } from '../rollouts/lineage-rollout.js'
import type { LoadedDraft } from '../rollouts/loaded-draft.js'
import type { Order } from '../rollouts/order-book.js'
import { RolloutReporter } from '../rollouts/rollout-reporter.js'
import type { RolloutSettings } from '../rollouts/rollout-settings.js'

/** How good a version is: alpha at a position of live text, and how often a proposal holds. */
export interface Quality {
  readonly alpha: number
  readonly acceptance: number
}

const POSITIONS = 16
const PROPOSALS = 40

/** One lineage's roll-out with a clock of its own, versions of given quality, and traffic that meets them. */
export class RolloutWorld {
  readonly qualities = new Map<number, Quality>()
  readonly released: number[] = []
  readonly records: { readonly topic: string; readonly record: NewRecord }[] = []
  readonly rollout: LineageRollout
  /** What loading or probing a version throws. */
  readonly broken = new Map<number, Error>()
  /** Versions in the order in which they were to be loaded. */
  readonly loads: number[] = []
  keep: (replaced: readonly LoadedDraft[]) => ReadonlySet<LoadedDraft> = () => new Set()
  nowMs = 1_000
  /** What pairs would show is not told. */
  withoutPairs = false
  rolledBack = 0
  rejected = 0
  readonly #random = seededRandom(3)
  #requests = 0

  constructor(settings: Partial<RolloutSettings> = {}, options: Partial<LineageRolloutOptions> = {}) {
    const add = (topic: string, record: NewRecord): void => void this.records.push({ topic, record })
    const outbox = { add } as unknown as Outbox
    this.rollout = new LineageRollout({
      lineage: 'default',
      settings: { ...standardTrial, canaryShare: 0.2, holdbackShare: 0.2, maxProposal: 4, ...settings },
      load: async ({ version }) => this.#draft(version),
      probe: async () => 'the probe is as it should be',
      windows: new HeldOutWindows({ targetFingerprint: '', tokenizerHash: '', hiddenSize: 1, maxWindows: 1 }),
      floor: () => undefined,
      reporter: new RolloutReporter({ server: 'here', outbox, clock: () => this.nowMs }),
      find: async (version) => {
        if (!this.qualities.has(version)) throw new PlateauError('NOT_FOUND', `there is no version ${version}`)
        return announcementOf(version)
      },
      nameOf: String,
      keep: (replaced) => this.keep(replaced),
      onReleased: ({ version }) => void this.released.push(version),
      onSwap: () => {},
      onRejected: () => void this.rejected++,
      onRolledBack: () => void this.rolledBack++,
      logger: silentLogger,
      clock: () => this.nowMs,
      ...options,
    })
  }

  /** Announces it and waits until it is tested or refused. */
  async announce(version: number, quality: Quality, about: Partial<DraftCheckpoint> = {}): Promise<void> {
    this.qualities.set(version, quality)
    const checkpoint = { ...announcementOf(version), ...about }
    this.rollout.announced({ checkpoint, arrivedMs: this.nowMs, traceparent: undefined })
    await this.rollout.idle()
  }

  /** So many responses, one every 100 ms; by version, how many were served by it. */
  serve(responses: number): Map<number, number> {
    const served = new Map<number, number>()
    for (let i = 0; i < responses; i++) {
      this.nowMs += 100
      const { lease, pair, finished } = this.rollout.assign(`sample-${this.#requests++}`, { tenant: 't', domain: 'd' })
      const version = lease?.loaded.version ?? 0
      served.set(version, (served.get(version) ?? 0) + 1)
      for (let k = 0; pair !== undefined && !this.withoutPairs && k < POSITIONS; k++) {
        // The same text: what is hard for one draft is mostly hard for the other.
        const shared = this.#noise(0.2)
        const alphaOf = (loaded: LoadedDraft | undefined): number =>
          loaded === undefined ? 0 : clamp(this.#of(loaded.version).alpha + shared + this.#noise(0.1))
        pair.record(alphaOf(pair.candidate.loaded), alphaOf(pair.incumbent?.loaded))
      }
      let accepted = 0
      for (let k = 0; k < PROPOSALS; k++) if (this.#random() < this.#of(version).acceptance) accepted++
      lease?.release()
      pair?.candidate.release()
      pair?.incumbent?.release()
      finished(version === 0 ? 0 : accepted, version === 0 ? 0 : PROPOSALS)
    }
    return served
  }

  /** Serves until then, and says how many responses that took. */
  async serveUntil(condition: () => boolean, most = 2_000): Promise<number> {
    for (let responses = 0; responses < most; responses++) {
      await this.rollout.idle()
      if (condition()) return responses
      this.serve(1)
    }
    throw new Error(`not within ${most} responses`)
  }

  get live(): number {
    return this.rollout.live?.loaded.version ?? 0
  }

  /** "3 canary", ... */
  events(): string[] {
    return this.rollouts().map(({ version, state }) => `${version} ${nameOf(state)}`)
  }

  rollouts(): Rollout[] {
    return this.#sent(topics.rollouts.name).map(({ value }) => Rollout.decode(value!))
  }

  /** What another server would find on the topic: the newest order of every key. */
  orders(): Order[] {
    const newest = new Map<string, Order>()
    for (const { key, value } of this.#sent(topics.rolloutOrders.name)) {
      newest.set(key!, RolloutOrder.decode(value!) as Order)
    }
    return [...newest.values()]
  }

  #sent(topic: string): NewRecord[] {
    return this.records.filter((sent) => sent.topic === topic).map(({ record }) => record)
  }

  #of(version: number): Quality {
    return this.qualities.get(version) ?? { alpha: 0, acceptance: 0 }
  }

  #noise(width: number): number {
    return (this.#random() - 0.5) * 2 * width
  }

  #draft(version: number): Draft {
    this.loads.push(version)
    const broken = this.broken.get(version)
    if (broken !== undefined) throw broken
    return {
      version: String(version),
      maxProposal: 4,
      open: () => {
        throw new Error('nothing is decoded here')
      },
      release: async () => {},
    }
  }
}

function announcementOf(version: number): DraftCheckpoint {
  return DraftCheckpoint.fromPartial({ schemaVersion: 1, lineage: 'default', version, kind: 'feature-fed-head' })
}

function nameOf(state: RolloutState): string {
  return RolloutState[state]!.replace('ROLLOUT_STATE_', '').toLowerCase()
}

function clamp(x: number): number {
  return Math.min(1, Math.max(0, x))
}
