import { ForgottenTenant, topics } from '@plateau/contracts'
import { readUpToNow, type EventLog } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { within } from './retry-later.js'
import type { AcceptedRecord } from './training-record.js'

export interface ForgottenTenantsParts {
  readonly log: EventLog
  readonly lineage: string
  readonly logger: Logger
}

export interface ForgottenTenantsState {
  /** Next to read of the topic's one partition. */
  readonly nextOffset: number
  /** By tenant, milliseconds since 1970: windows captured up to then are not trained on. */
  readonly until: Readonly<Record<string, number>>
}

const topic = topics.forgottenTenants.name
const ANSWER_MS = 5000

/** Whom the lineage's draft must not know, by the topic that says so. */
export class ForgottenTenants {
  readonly #parts: ForgottenTenantsParts
  readonly #until: Map<string, number>
  #nextOffset: number

  constructor(parts: ForgottenTenantsParts, saved: ForgottenTenantsState | undefined) {
    this.#parts = parts
    this.#until = new Map(Object.entries(saved?.until ?? {}))
    this.#nextOffset = saved?.nextOffset ?? 0
  }

  /** Tenants that are to be forgotten since the last time, each once. Throws what the log throws. */
  async read(): Promise<string[]> {
    const { log, lineage, logger } = this.#parts
    const [range] = await within(ANSWER_MS, log.offsets(topic))
    if (range === undefined || range.next === this.#nextOffset) return []
    // Beyond the end: the topic was begun again. What it says is true whenever it is read.
    const offset = this.#nextOffset > range.next ? 0 : this.#nextOffset
    const asked = new Map<string, number>()
    let nextOffset = offset
    for await (const { records } of readUpToNow(log.reader({ topic, from: [{ partition: 0, offset }] }))) {
      for (const { value, key, offset: at } of records) {
        const request = value === null ? undefined : decoded(value)
        if (request === undefined) logger.warn('not a request to forget a tenant', { topic, key, offset: at })
        else if (request.lineage === lineage) asked.set(request.tenant, request.capturedUntilMs)
        nextOffset = at + 1
      }
    }
    // Only now: where reading broke off, all of it is read again, and nobody is passed over.
    for (const [tenant, until] of asked) this.#until.set(tenant, until)
    this.#nextOffset = Math.max(nextOffset, range.next)
    return [...asked.keys()]
  }

  has({ tenant, capturedAtMs }: Pick<AcceptedRecord, 'tenant' | 'capturedAtMs'>): boolean {
    return capturedAtMs <= (this.#until.get(tenant) ?? Number.NEGATIVE_INFINITY)
  }

  get tenants(): Iterable<string> {
    return this.#until.keys()
  }

  get state(): ForgottenTenantsState {
    return { nextOffset: this.#nextOffset, until: Object.fromEntries(this.#until) }
  }
}

function decoded(value: Uint8Array): ForgottenTenant | undefined {
  try {
    const request = ForgottenTenant.decode(value)
    return request.schemaVersion === 1 && request.tenant !== '' ? request : undefined
  } catch {
    return undefined
  }
}
