import {
  DraftCheckpoint,
  encodeHeaders,
  ForgottenTenant,
  Rollout,
  RolloutState,
  SelectionPolicy,
  topics,
} from '@plateau/contracts'
import { readUpToNow } from '@plateau/event-log'
import { expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { temporaryLog } from '../testing/temporary-log.js'

const headers = (type: string, id: string) => encodeHeaders({ id, source: '/plateau/test', type, timeMs: 0 })

function checkpointRecord(lineage: string, version: number) {
  const checkpoint = DraftCheckpoint.fromPartial({
    schemaVersion: 1,
    lineage,
    version,
    kind: 'feature-fed-head',
    manifestPath: `${lineage}/${version}/manifest.json`,
    evaluation: { positions: 100, alpha: 0.75, parentAlpha: Number.NaN, greedyMatch: 0.5 },
    publishedAtMs: Date.parse('2026-03-01T12:00:00Z'),
  })
  const { name, messageType } = topics.draftCheckpoints
  const value = DraftCheckpoint.encode(checkpoint).finish()
  return [name, { key: lineage, value, headers: headers(messageType, `${lineage}:${version}`) }] as const
}

function rolloutRecord(lineage: string, version: number, state: RolloutState, reason: string) {
  const rollout = Rollout.fromPartial({
    schemaVersion: 1,
    lineage,
    version,
    state,
    reason,
    server: 'serving-1',
    swapMs: 40,
  })
  const { name, messageType } = topics.rollouts
  const value = Rollout.encode(rollout).finish()
  return [name, { key: lineage, value, headers: headers(messageType, `${lineage}:${version}:${state}`) }] as const
}

test('checkpoints are listed with what they were found to be worth', async () => {
  const { log, url } = await temporaryLog()
  for (const lineage of ['default', 'other']) {
    const [topic, record] = checkpointRecord(lineage, 3)
    await log.producer().send(topic, [record])
  }
  const { code, out } = await plateau(['checkpoints', '--lineage', 'default', '--event-log', url])
  expect(code).toBe(0)
  expect(out).toMatch(/^default +3 +0 +2026-03-01T12:00:00.000Z +feature-fed-head +0.7500 +- +0.5000 .*manifest.json$/m)
  expect(out).not.toContain('other')
})

test('rollouts are told in order, of one lineage if asked, and followed until interrupted', async () => {
  const { log, url } = await temporaryLog()
  const producer = log.producer()
  const send = async (...of: Parameters<typeof rolloutRecord>) => {
    const [topic, record] = rolloutRecord(...of)
    await producer.send(topic, [record])
  }
  await send('default', 2, RolloutState.ROLLOUT_STATE_LIVE, 'better')
  await send('other', 9, RolloutState.ROLLOUT_STATE_LIVE, '')
  await send('default', 3, RolloutState.ROLLOUT_STATE_REJECTED, 'wrong target')
  const { code, out } = await plateau(['rollouts', '--lineage', 'default', '--event-log', url])
  expect(code).toBe(0)
  expect(out.trimEnd().split('\n')).toEqual([
    expect.stringContaining('serving-1  default version 2 live (40 ms after it was announced): better'),
    expect.stringContaining('default version 3 rejected (40 ms after it was announced): wrong target'),
  ])

  const interruption = new AbortController()
  const seen: { version: number; state: string }[] = []
  const following = plateau(['rollouts', '--follow', '--json', '--event-log', url], {
    signal: interruption.signal,
    onOut: (text) => {
      seen.push(JSON.parse(text) as (typeof seen)[number])
      if (seen.length === 3) void send('default', 4, RolloutState.ROLLOUT_STATE_LIVE, '')
      if (seen.length === 4) interruption.abort()
    },
  })
  expect(await following).toMatchObject({ code: 0 })
  expect(seen.map(({ version, state }) => `${version} ${state}`)).toEqual(['2 live', '9 live', '3 rejected', '4 live'])
})

test('a tenant that is to be forgotten is asked for once more, durably, and nobody is left out by mistake', async () => {
  const { log, url } = await temporaryLog()
  const { code, out } = await plateau([
    'drafts',
    'forget',
    '--tenant',
    'acme',
    '--lineage',
    'default',
    '--event-log',
    url,
  ])
  expect(code).toBe(0)
  expect(out).toMatch(/lineage default will forget what it learned from acme until /)
  const found: { readonly key: string | null; readonly request: ForgottenTenant }[] = []
  for await (const { records } of readUpToNow(log.reader({ topic: topics.forgottenTenants.name, from: 'earliest' }))) {
    for (const { key, value } of records) found.push({ key, request: ForgottenTenant.decode(value!) })
  }
  expect(found).toMatchObject([
    { key: 'default/acme', request: { schemaVersion: 1, lineage: 'default', tenant: 'acme' } },
  ])
  expect(found[0]!.request.capturedUntilMs).toBeGreaterThan(Date.parse('2026-01-01'))
  for (const missing of [
    ['--tenant', 'acme'],
    ['--lineage', 'default'],
    ['--lineage', 'default', '--tenant', ''],
  ]) {
    expect((await plateau(['drafts', 'forget', ...missing, '--event-log', url])).code).toBe(2)
  }
})

function policyRecord(lineage: string, parts: Partial<SelectionPolicy>) {
  const record = SelectionPolicy.fromPartial({
    schemaVersion: 1,
    lineage,
    strategy: 'least-flat',
    keep: 0.5,
    closedFormWeight: 'binned',
    binWeights: { effectiveTokens: [2], draftGap: [], weights: [1.5, 0.5] },
    evidence: 'It won.',
    gains: [{ stage: 'gradients', gain: 0.02, standardError: 0.005, count: 9 }],
    ...parts,
  })
  const { name, messageType } = topics.selectionPolicy
  const value = SelectionPolicy.encode(record).finish()
  return [name, { key: lineage, value, headers: headers(messageType, `${lineage}:${record.atMs}`) }] as const
}

test('the policy in force is shown with its gain and its reason, and can be withdrawn', async () => {
  const { log, url } = await temporaryLog()
  const producer = log.producer()
  for (const parts of [{ evidence: 'At first.' }, {}]) {
    const [topic, record] = policyRecord('default', parts)
    await producer.send(topic, [record])
  }
  const shown = await plateau(['policy', '--event-log', url])
  expect(shown.code).toBe(0)
  expect(shown.out).toMatch(/^default .* least-flat\(keep=0\.5\) +binned +- +\+0\.0200 ± 0\.0098$/m)
  expect(shown.out).toContain('default: It won.')
  expect(shown.out).not.toContain('At first')

  expect((await plateau(['policy', 'clear', '--lineage', 'default', '--event-log', url])).code).toBe(0)
  expect((await plateau(['policy', '--event-log', url])).out).toBe(
    'no policy is in force: scorers go by their own settings\n',
  )
  const again = await plateau(['policy', 'clear', '--lineage', 'default', '--event-log', url])
  expect(again).toMatchObject({ code: 1, out: 'lineage default has no policy\n' })
})
