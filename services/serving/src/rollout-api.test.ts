import { PlateauError, rollout, RolloutState } from '@plateau/contracts'
import { callUnary, createClient, startServer } from '@plateau/rpc'
import { createLogger, processIdentity } from '@plateau/telemetry'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Access } from './access/access.js'
import { digestOf, parseApiKeys } from './access/api-keys.js'
import { Quotas } from './access/quotas.js'
import { adminsOnly, rolloutApi, type OrderBy, type RolloutControl } from './rollout-api.js'

const keys = parseApiKeys(
  JSON.stringify({
    keys: [
      { name: 'ops', sha256: digestOf('pl_ops'), tenant: 'acme', admin: true },
      { name: 'app', sha256: digestOf('pl_app'), tenant: 'acme' },
    ],
  }),
)

/** Version 3 is live, 2 the last good one; records what it was told. */
class Control implements RolloutControl {
  readonly told: [string, string, number, OrderBy][] = []

  status(lineage: string): rollout.ListVersionsResponse {
    if (lineage !== '' && lineage !== 'default') throw new PlateauError('NOT_FOUND', `no lineage ${lineage} here`)
    const versions = [{ version: 3, state: RolloutState.ROLLOUT_STATE_LIVE, share: 1 }]
    return rollout.ListVersionsResponse.fromPartial({
      server: 'serving-1',
      lineages: [{ lineage: 'default', liveVersion: 3, lastGoodVersion: 2, versions }],
    })
  }

  async promote(lineage: string, version: number, order: OrderBy): Promise<number> {
    this.told.push(['promote', lineage, version, order])
    if (version === 3) throw new PlateauError('FAILED_PRECONDITION', 'version 3 is live already')
    return version || 4
  }

  async rollback(lineage: string, version: number, order: OrderBy) {
    this.told.push(['rollback', lineage, version, order])
    return { version: version || 3, liveVersion: 2 }
  }

  async pin(lineage: string, version: number, order: OrderBy): Promise<number> {
    this.told.push(['pin', lineage, version, order])
    return version || 3
  }

  async unpin(lineage: string, order: OrderBy): Promise<number> {
    this.told.push(['unpin', lineage, 0, order])
    return 3
  }
}

async function start({ keysFile = true }: { keysFile?: boolean } = {}) {
  const control = new Control()
  const quotas = new Quotas({ nowMs: () => 0, responseMs: () => 0, onRefused: () => {} })
  const access = new Access({ keys: keysFile ? () => keys : undefined, capture: 'off', quotas })
  let audit = ''
  const logger = createLogger({
    identity: processIdentity('serving'),
    level: 'info',
    destination: { write: (line) => void (audit += line) },
  })
  const reported: unknown[] = []
  const authorizeOrder = adminsOnly(access.authenticate)
  const report = (error: unknown): void => void reported.push(error)
  const server = await startServer({
    address: '127.0.0.1:0',
    services: [rolloutApi(control, { authorizeOrder, logger, report })],
  })
  onTestFinished(() => server.drain(0))
  const client = createClient(rollout.RolloutServiceClient, server.address)
  onTestFinished(() => client.close())
  const lines = (): Record<string, unknown>[] =>
    audit
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { control, client, lines, reported }
}

const as = (key: string) => ({ metadata: { authorization: `Bearer ${key}` } })
const order = { lineage: 'default', version: 0, reason: 'it is faster' }

describe('RolloutService', () => {
  it('passes orders on with the name of the key and the reason, and answers what was done', async () => {
    const { control, client } = await start()
    const by = { by: 'ops', reason: 'it is faster' }
    expect(await callUnary(client.promote.bind(client), { ...order, version: 7 }, as('pl_ops'))).toEqual({ version: 7 })
    expect(await callUnary(client.rollback.bind(client), order, as('pl_ops'))).toEqual({ version: 3, liveVersion: 2 })
    expect(await callUnary(client.pin.bind(client), order, as('pl_ops'))).toEqual({ version: 3 })
    const unpin = { lineage: 'default', reason: '  it is faster ' }
    expect(await callUnary(client.unpin.bind(client), unpin, as('pl_ops'))).toEqual({ version: 3 })
    expect(control.told).toEqual([
      ['promote', 'default', 7, by],
      ['rollback', 'default', 0, by],
      ['pin', 'default', 0, by],
      ['unpin', 'default', 0, by],
    ])
  })

  it('takes no order without a key, nor of one that has not the right, and passes nothing on', async () => {
    const { control, client } = await start()
    const pin = client.pin.bind(client)
    await expect(callUnary(pin, order)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await expect(callUnary(pin, order, as('pl_none'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await expect(callUnary(pin, order, as('pl_app'))).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      facts: { key: 'app' },
    })
    expect(control.told).toEqual([])
  })

  it('takes orders of whoever reaches it where there is no keys file', async () => {
    const { control, client } = await start({ keysFile: false })
    await callUnary(client.pin.bind(client), order)
    expect(control.told).toEqual([['pin', 'default', 0, { by: 'local operator', reason: 'it is faster' }]])
  })

  it.each([
    ['reason', { reason: '' }],
    ['reason', { reason: ' \n' }],
    ['reason', { reason: 'a'.repeat(1001) }],
    ['lineage', { lineage: '' }],
  ])('an order with a bad %s is INVALID_ARGUMENT and not passed on', async (field, changes) => {
    const { control, client } = await start()
    await expect(callUnary(client.promote.bind(client), { ...order, ...changes }, as('pl_ops'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      facts: { field },
    })
    expect(control.told).toEqual([])
  })

  it('an order that makes no sense now, and a lineage that is not there, are said as the control says them', async () => {
    const { client, reported } = await start()
    await expect(callUnary(client.promote.bind(client), { ...order, version: 3 }, as('pl_ops'))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'version 3 is live already',
    })
    await expect(callUnary(client.listVersions.bind(client), { lineage: 'none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    expect(reported).toEqual([])
  })

  it('keeps an audit: who ordered what and why, and what became of it, also of those it refused', async () => {
    const { client, lines } = await start()
    await callUnary(client.rollback.bind(client), order, as('pl_ops'))
    await callUnary(client.promote.bind(client), { ...order, version: 3 }, as('pl_ops')).catch(() => {})
    await callUnary(client.pin.bind(client), order, as('pl_app')).catch(() => {})
    const what = { lineage: 'default', reason: 'it is faster' }
    expect(lines()).toMatchObject([
      { message: 'order carried out', order: 'rollback', by: 'ops', version: 3, liveVersion: 2, ...what },
      { message: 'order refused', order: 'promote', by: 'ops', version: 3, code: 'FAILED_PRECONDITION', ...what },
      { message: 'order refused', order: 'pin', by: '', code: 'PERMISSION_DENIED', ...what },
    ])
    expect(JSON.stringify(lines())).not.toContain('pl_')
  })

  it('says what is served to everyone who reaches it', async () => {
    const { client } = await start()
    const status = await callUnary(client.listVersions.bind(client), { lineage: '' })
    expect(status).toMatchObject({ server: 'serving-1', lineages: [{ liveVersion: 3, lastGoodVersion: 2 }] })
  })
})
