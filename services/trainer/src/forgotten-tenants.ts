import { ForgottenTenant, topics } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { TopicTail } from './topic-tail.js'
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

/** Whom the lineage's draft must not know, by the topic that says so. */
export class ForgottenTenants {
  readonly #parts: ForgottenTenantsParts
  readonly #tail: TopicTail
  readonly #until: Map<string, number>

  constructor(parts: ForgottenTenantsParts, saved: ForgottenTenantsState | undefined) {
    this.#parts = parts
    this.#until = new Map(Object.entries(saved?.until ?? {}))
    this.#tail = new TopicTail(parts.log, topic, saved?.nextOffset)
  }

  /** Tenants that are to be forgotten since the last time, each once. Throws what the log throws. */
  async read(): Promise<string[]> {
    const { lineage, logger } = this.#parts
    const asked = new Map<string, number>()
    for (const { value, key, offset } of await this.#tail.read()) {
      const request = value === null ? undefined : decoded(value)
      if (request === undefined) logger.warn('not a request to forget a tenant', { topic, key, offset })
      else if (request.lineage === lineage) asked.set(request.tenant, request.capturedUntilMs)
    }
    for (const [tenant, until] of asked) this.#until.set(tenant, until)
    return [...asked.keys()]
  }

  has({ tenant, capturedAtMs }: Pick<AcceptedRecord, 'tenant' | 'capturedAtMs'>): boolean {
    return capturedAtMs <= (this.#until.get(tenant) ?? Number.NEGATIVE_INFINITY)
  }

  get tenants(): Iterable<string> {
    return this.#until.keys()
  }

  get state(): ForgottenTenantsState {
    return { nextOffset: this.#tail.nextOffset, until: Object.fromEntries(this.#until) }
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
