import { Drift, DriftKind, encodeHeaders, topics } from '@plateau/contracts'
import {
  AcceptanceDrift,
  unusualResponse,
  VERY_HIGH,
  VERY_LOW,
  type DriftFinding,
  type DriftKind as FoundKind,
} from '@plateau/rollout'
import type { Logger } from '@plateau/telemetry'
import { randomUUID } from 'node:crypto'
import type { BoundedLabels } from './bounded-labels.js'
import type { Outbox } from './outbox.js'
import type { ServingMetrics } from './serving-metrics.js'

export interface DriftWatchOptions {
  readonly lineage: string
  readonly server: string
  readonly outbox: Outbox
  readonly metrics: ServingMetrics
  readonly tenants: BoundedLabels
  readonly domains: BoundedLabels
  readonly logger: Logger
  readonly clock: () => number
}

export interface SpeculatedResponse {
  readonly sampleId: string
  readonly tenant: string
  readonly domain: string
  /** Of the draft's proposals. */
  readonly draft: { readonly accepted: number; readonly judged: number }
  /** Of all proposals, copies from the text among them, and in how many rounds something was proposed. */
  readonly all: { readonly accepted: number; readonly judged: number; readonly rounds: number }
}

const KIND: Readonly<Record<FoundKind, DriftKind>> = {
  'flatness-shifted': DriftKind.DRIFT_KIND_FLATNESS_SHIFTED,
  'flatness-settled': DriftKind.DRIFT_KIND_FLATNESS_SETTLED,
  'acceptance-fell': DriftKind.DRIFT_KIND_ACCEPTANCE_FELL,
  'acceptance-recovered': DriftKind.DRIFT_KIND_ACCEPTANCE_RECOVERED,
  'acceptance-very-low': DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_LOW,
  'acceptance-very-high': DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_HIGH,
}

/** Single responses are counted; so many a minute are also said on the topic. */
const UNUSUAL_PER_MINUTE = 6

/** Whether acceptance is what it was, by tenant and domain, and responses in which it is hard to believe. */
export class DriftWatch {
  readonly #options: DriftWatchOptions
  readonly #acceptance = new AcceptanceDrift()
  /** What the keys of `#acceptance` stand for. */
  readonly #traffic = new Map<string, { readonly tenant: string; readonly domain: string }>()
  #minute = 0
  #said = 0

  constructor(options: DriftWatchOptions) {
    this.#options = options
  }

  /** Acceptance of the drafts' proposals by tenant and domain, whose names are bounded, over a short and a long time. */
  means(): { readonly tenant: string; readonly domain: string; readonly short: number; readonly long: number }[] {
    return this.#acceptance.means().map(({ key, short, long }) => ({ ...this.#traffic.get(key)!, short, long }))
  }

  /** True when acceptance of this traffic has just fallen. */
  finished({ sampleId, tenant, domain, draft, all }: SpeculatedResponse): boolean {
    const { tenants, domains, metrics } = this.#options
    const traffic = { tenant: tenants.of(tenant), domain: domains.of(domain) }
    const key = `tenant ${JSON.stringify(traffic.tenant)}, domain ${JSON.stringify(traffic.domain)}`
    this.#traffic.set(key, traffic)
    const changed = this.#acceptance.observe(key, draft.accepted, draft.judged)
    if (changed !== undefined) this.#say(changed, traffic, '')
    const unusual = unusualResponse(all.accepted, all.judged, all.rounds)
    const fell = changed?.kind === 'acceptance-fell'
    if (unusual === undefined) return fell
    metrics.unusualResponses.add({ acceptance: unusual, tenant: traffic.tenant })
    if (this.#mayTell()) this.#say(findingOf(unusual, all), traffic, sampleId)
    return fell
  }

  #say(finding: DriftFinding, traffic: { readonly tenant: string; readonly domain: string }, sampleId: string): void {
    const { lineage, server, outbox, logger, clock } = this.#options
    const atMs = clock()
    const { kind, ...measured } = finding
    const drift: Drift = {
      schemaVersion: 1,
      lineage,
      kind: KIND[kind],
      ...traffic,
      ...measured,
      sampleId,
      server,
      atMs,
    }
    const headers = encodeHeaders({
      id: randomUUID(),
      source: '/plateau/serving',
      type: topics.drift.messageType,
      timeMs: atMs,
      subject: lineage,
    })
    outbox.add(topics.drift.name, { key: lineage, value: Drift.encode(drift).finish(), headers })
    logger.warn('acceptance is not what it was', { kind, reason: finding.reason })
  }

  #mayTell(): boolean {
    const minute = Math.floor(this.#options.clock() / 60_000)
    if (minute !== this.#minute) [this.#minute, this.#said] = [minute, 0]
    return ++this.#said <= UNUSUAL_PER_MINUTE
  }
}

function findingOf(
  unusual: 'very-low' | 'very-high',
  { accepted, judged }: { readonly accepted: number; readonly judged: number },
): DriftFinding {
  const bound = (unusual === 'very-low' ? VERY_LOW : VERY_HIGH).acceptance
  const why =
    unusual === 'very-low' ? 'no draft of ours knows such text' : 'that is what text that repeats itself looks like'
  return {
    kind: `acceptance-${unusual}`,
    reason: `${accepted} of ${judged} proposed tokens of one response were accepted: ${why}`,
    value: accepted / judged,
    reference: bound,
    threshold: bound,
    count: judged,
  }
}
