import { Cluster, readPrompts, type ServiceName } from '@plateau/demo'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { caughtUp } from './caught-up.js'
import { Clients } from './clients.js'
import { demoModel, tinyModel } from './models.js'
import { readLedger, type Ledger } from './ledger.js'

describe('kill -9 of each service in turn, while clients keep asking', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-kill-'))
  let cluster: Cluster
  let clients: Clients
  let ledger: Ledger
  const outages: { service: ServiceName; fromMs: number; toMs: number; answered: number }[] = []

  beforeAll(async () => {
    cluster = await Cluster.start({ directory, model: tinyModel, env: { trainer: { PLATEAU_SNAPSHOT_SECONDS: '2' } } })
    clients = new Clients([cluster.httpUrl], readPrompts(demoModel, 'sotu').prompts, 3)
    await sleep(4000)
    for (const service of ['flatness-scorer', 'trainer', 'target-model', 'serving'] as const) {
      const before = clients.answered
      const fromMs = Date.now()
      await cluster.kill9(service)
      await sleep(2000)
      const answered = clients.answered - before
      cluster.launch(service)
      await cluster.ready(service)
      // Serving's way back to a restarted target takes a moment more than the target's own readiness.
      if (service === 'target-model') await cluster.ready('serving')
      outages.push({ service, fromMs, toMs: Date.now() + 500, answered })
      await sleep(3000)
    }
    await clients.stop()
    await caughtUp(cluster)
    await cluster.stop()
    ledger = await readLedger(cluster)
  }, 180_000)

  afterAll(async () => {
    await cluster.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('serving answers throughout while the scorer or the trainer is dead', () => {
    const answered = (service: ServiceName) => outages.find((outage) => outage.service === service)!.answered
    expect(answered('flatness-scorer')).toBeGreaterThan(0)
    expect(answered('trainer')).toBeGreaterThan(0)
  })

  test('requests fail only while target-model or serving itself is away', () => {
    const away = outages.filter(({ service }) => service === 'target-model' || service === 'serving')
    const elsewhere = clients.failedAtMs.filter((at) => !away.some(({ fromMs, toMs }) => at >= fromMs && at <= toMs))
    expect(elsewhere).toEqual([])
  })

  test('every acknowledged window has exactly one decision', () => {
    expect(ledger.captured.size).toBeGreaterThan(20)
    expect([...ledger.captured].filter((window) => !ledger.decisions.has(window))).toEqual([])
    expect([...ledger.decisions].filter(([, decisions]) => decisions.size !== 1)).toEqual([])
  })

  test('every decided window reached the trainer', () => {
    expect([...ledger.decisions.keys()].filter((window) => !ledger.forTraining.has(window))).toEqual([])
  })

  test('over its lives the trainer took every window once, and evaluation windows never as training data', () => {
    expect(ledger.inTrainer).toEqual(ledger.inTopic)
    expect(ledger.inTrainer['evaluation/drop']).toBeGreaterThan(0)
    expect(ledger.inTrainer['evaluation/keep']).toBeUndefined()
  })
})
