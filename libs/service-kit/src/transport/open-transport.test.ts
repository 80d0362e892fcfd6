import { holderFiles, issueInto } from '@plateau/dev-certificates'
import { MetricRegistry, silentLogger, type LogFields } from '@plateau/telemetry'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PeerCertificate } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { openTransport } from './open-transport.js'
import { transportConfig } from './transport-config.js'

async function open(environment: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'transport-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const holder = { name: 'target-model', uris: ['spiffe://here/ns/plateau/sa/target-model'], hosts: [] }
  const nowMs = 1_800_000_000_000
  await issueInto(directory, [holder], { authorityName: 'here', authorityDays: 100, days: 10, nowMs })
  const { certFile, keyFile, caFile } = holderFiles(directory, 'target-model')
  let now = nowMs
  const clock = (): number => now
  const config = transportConfig('target-model', clock).parse({
    PLATEAU_TLS_CERT_FILE: certFile,
    PLATEAU_TLS_KEY_FILE: keyFile,
    PLATEAU_TLS_CA_FILE: caFile,
    ...environment,
  })
  const metrics = new MetricRegistry()
  const warned: LogFields[] = []
  const logger = { ...silentLogger, warn: (_: string, fields: LogFields = {}) => void warned.push(fields) }
  const transport = await openTransport(config, { service: 'target-model', logger, metrics, clock })
  onTestFinished(() => transport.close())
  return { transport, metrics, warned, nowMs, pass: (ms: number) => (now += ms) }
}

const certificateOf = (uri: string): PeerCertificate => ({ subjectaltname: `URI:${uri}` }) as PeerCertificate
const valueOf = (metrics: MetricRegistry, name: string) =>
  [...metrics.declared()].find(({ spec }) => spec.name === name)?.collect()

it('a call by the wrong service is refused, counted, and said once a minute', async () => {
  const { transport, metrics, warned, pass } = await open()
  const { authorize } = transport.server({ '/t/Score': ['serving'] })
  const call = (uri: string) => () => authorize!('/t/Score', { certificate: certificateOf(uri) })
  expect(call('spiffe://here/ns/plateau/sa/serving')).not.toThrow()
  const trainer = 'spiffe://here/ns/plateau/sa/trainer'
  for (let i = 0; i < 3; i++)
    expect(call(trainer)).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED', facts: { method: '/t/Score', caller: trainer } }),
    )
  expect(warned).toEqual([{ method: '/t/Score', caller: trainer, code: 'PERMISSION_DENIED' }])
  pass(60_000)
  expect(call(trainer)).toThrow(/may not call/)
  expect(warned).toHaveLength(2)
  expect([...valueOf(metrics, 'plateau_rpc_refused_total')!]).toEqual([
    { labels: { method: '/t/Score', caller: 'trainer' }, value: 4 },
  ])
})

it('namespaces that are trusted besides are named', async () => {
  const uri = 'spiffe://here/ns/other/sa/serving'
  const callFrom = async (environment: Record<string, string>) => {
    const { transport } = await open(environment)
    return () =>
      transport.server({ '/t/Score': ['serving'] }).authorize!('/t/Score', { certificate: certificateOf(uri) })
  }
  expect(await callFrom({})).toThrow(/may not call/)
  expect(await callFrom({ PLATEAU_TRUSTED_NAMESPACES: 'plateau,other' })).not.toThrow()
})

it('the end of the certificates is a metric', async () => {
  const { metrics, nowMs } = await open()
  expect([...valueOf(metrics, 'plateau_certificate_expiry_seconds')!]).toEqual([
    { labels: { certificate: 'own' }, value: nowMs / 1000 + 10 * 86_400 },
    { labels: { certificate: 'authority' }, value: nowMs / 1000 + 100 * 86_400 },
  ])
})

it('plaintext checks nobody and counts nothing', async () => {
  const metrics = new MetricRegistry()
  const transport = await openTransport(transportConfig('serving').parse({}), {
    service: 'serving',
    logger: silentLogger,
    metrics,
    clock: Date.now,
  })
  expect([transport.isSecure, transport.server({}), transport.client('target-model')]).toEqual([false, {}, {}])
  expect([...metrics.declared()]).toEqual([])
})
