import { PlateauError, rollout, RolloutState } from '@plateau/contracts'
import { startServer } from '@plateau/rpc'
import { adminsOnly, rolloutApi, type OrderBy, type RolloutApiOptions, type RolloutControl } from '@plateau/serving'
import { onTestFinished } from 'vitest'

export const evidence = {
  comparison: 'live-acceptance',
  positions: 812,
  value: 0.612,
  otherValue: 0.604,
  difference: 0.008,
  low: -0.012,
  high: 0.028,
  errorRate: 0.01,
  margin: 0.03,
  acceptanceLength: 2.44,
  otherAcceptanceLength: 2.4,
  requests: 57,
  slices: [{ label: 'tenant', name: 'acme', positions: 400, value: 0.7, otherValue: 0.5 }],
}

/** Version 3 is live, 2 the last good one, 4 a canary. */
class Versions implements RolloutControl {
  live = 3
  pinned = 0
  readonly orders: {
    readonly order: string
    readonly version: number
    readonly by: string
    readonly reason: string
  }[] = []

  status(lineage: string): rollout.ListVersionsResponse {
    this.#mustBeOurs(lineage)
    const { ROLLOUT_STATE_CANARY: CANARY, ROLLOUT_STATE_CONFIRMED: CONFIRMED } = RolloutState
    const sinceMs = Date.parse('2026-11-27T12:00:00Z')
    return rollout.ListVersionsResponse.fromPartial({
      server: 'serving-1',
      lineages: [
        {
          lineage: 'default',
          liveVersion: this.live,
          lastGoodVersion: 2,
          pinnedVersion: this.pinned,
          versions: [
            { version: 4, state: CANARY, sinceMs, share: 0.2, requestsInFlight: 1, evidence: [evidence] },
            { version: 3, state: CONFIRMED, sinceMs, share: 0.8, requestsInFlight: 5, evidence: [] },
          ],
        },
      ],
    })
  }

  async promote(lineage: string, version: number, order: OrderBy): Promise<number> {
    this.#mustBeOurs(lineage)
    const chosen = version || 4
    if (chosen === this.live) throw new PlateauError('FAILED_PRECONDITION', `version ${chosen} is live already`)
    if (chosen > 4) throw new PlateauError('NOT_FOUND', `there is no version ${chosen} of lineage default`)
    this.#note('promote', chosen, order)
    return (this.live = chosen)
  }

  async rollback(lineage: string, version: number, order: OrderBy): Promise<{ version: number; liveVersion: number }> {
    this.#mustBeOurs(lineage)
    const gone = version || this.live
    this.#note('rollback', gone, order)
    this.live = gone === 3 ? 2 : 0
    return { version: gone, liveVersion: this.live }
  }

  async pin(lineage: string, version: number, order: OrderBy): Promise<number> {
    this.#mustBeOurs(lineage)
    this.pinned = version || this.live
    this.#note('pin', this.pinned, order)
    return this.pinned
  }

  async unpin(lineage: string, order: OrderBy): Promise<number> {
    const version = this.pinned
    if (version === 0) throw new PlateauError('FAILED_PRECONDITION', `no version of lineage ${lineage} is pinned`)
    this.#note('unpin', version, order)
    this.pinned = 0
    return version
  }

  #note(order: string, version: number, { by, reason }: OrderBy): void {
    this.orders.push({ order, version, by, reason })
  }

  #mustBeOurs(lineage: string): void {
    if (lineage !== '' && lineage !== 'default')
      throw new PlateauError('NOT_FOUND', `lineage ${lineage} is not served here`)
  }
}

const nothing = (): void => {}
const silent: RolloutApiOptions['logger'] = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
  child: () => silent,
}

/** Serving's own RolloutService in this process. With `keys`, orders are taken of "pl_ops", and "pl_app" has no right. */
export async function startRolloutServer({ keys = false }: { keys?: boolean } = {}) {
  const versions = new Versions()
  const authorizeOrder = adminsOnly((authorization) => {
    const of = (keyName: string, admin: boolean) => ({
      tenant: undefined,
      keyName,
      admin,
      mayCapture: false,
      maySpeculate: true,
    })
    if (!keys) return of('', true)
    if (authorization === 'Bearer pl_ops') return of('ops', true)
    if (authorization === 'Bearer pl_app') return of('app', false)
    throw new PlateauError('UNAUTHENTICATED', 'this API key is not known here')
  })
  const service = rolloutApi(versions, { authorizeOrder, logger: silent, report: () => {} })
  const server = await startServer({ address: '127.0.0.1:0', services: [service] })
  onTestFinished(() => server.drain(0))
  return { address: server.address, versions }
}
