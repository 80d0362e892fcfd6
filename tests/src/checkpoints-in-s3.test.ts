import { s3Store, type CheckpointStore } from '@plateau/checkpoints'
import { Cluster, readPrompts, type ProcessName } from '@plateau/demo'
import { startS3, type S3Server } from '@plateau/s3-dev'
import { describeWithS3 } from '@plateau/s3-dev/testing'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { caughtUp } from './caught-up.js'
import { Clients } from './clients.js'
import { readLedger, type Ledger } from './ledger.js'
import { demoModel, tinyModel } from './models.js'
import { until } from './until.js'

interface Standing {
  readonly status: number
  readonly text: string
}

describeWithS3('checkpoints in S3, whose server is killed, then the trainer', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-in-s3-'))
  const users: readonly ProcessName[] = ['trainer', 'serving', 'console']
  let server: S3Server
  let cluster: Cluster
  let clients: Clients
  let store: CheckpointStore
  let whileAway: { readonly answered: number; readonly ready: Readonly<Record<string, Standing>> }
  let newest: { readonly beforeKill: number; readonly afterKill: number }
  let ledger: Ledger

  const reachable = async (name: ProcessName): Promise<string | undefined> => {
    const text = await (await fetch(`${cluster.opsUrl(name)}/metrics`)).text()
    return /^plateau_checkpoint_store_reachable(?:\{[^}]*\})? (\d)/m.exec(text)?.[1]
  }
  const allSay = (said: string): Promise<true> =>
    until(async () => {
      const answers = await Promise.all(users.map((name) => reachable(name)))
      return answers.every((answer) => answer === said) ? true : undefined
    }, 90_000)
  const standing = async (name: ProcessName): Promise<Standing> => {
    const answer = await fetch(`${cluster.opsUrl(name)}/readyz`)
    return { status: answer.status, text: await answer.text() }
  }
  const versionAfter = (version: number): Promise<number> =>
    until(async () => (await store.versions('default')).find((found) => found > version), 90_000)
  const swaps = (): number => readFileSync(cluster.logFile('serving'), 'utf8').split('"draft swapped"').length - 1

  beforeAll(async () => {
    server = await startS3()
    const { bucket, region } = server.settings
    const { endpoint, credentialFiles: credentials } = server
    store = s3Store({ bucket, prefix: 'drafts/', region, endpoint, credentials })
    const settings = {
      PLATEAU_CHECKPOINTS: `s3://${bucket}/drafts`,
      PLATEAU_S3_ENDPOINT: endpoint,
      PLATEAU_S3_REGION: region,
      PLATEAU_S3_ACCESS_KEY_ID_FILE: credentials.accessKeyIdFile,
      PLATEAU_S3_SECRET_ACCESS_KEY_FILE: credentials.secretAccessKeyFile,
    }
    cluster = await Cluster.start({
      directory,
      model: tinyModel,
      services: ['target-model', 'flatness-scorer', 'trainer', 'serving', 'console'],
      env: {
        trainer: { ...settings, PLATEAU_SNAPSHOT_SECONDS: '1', PLATEAU_MIN_PUBLISH_SECONDS: '1' },
        serving: settings,
        console: settings,
      },
    })
    clients = new Clients([cluster.httpUrl], readPrompts(demoModel, 'sotu').prompts, 3)
    await versionAfter(1)
    await until(async () => (swaps() > 0 ? true : undefined), 60_000)

    await server.kill9()
    await allSay('0')
    const answered = clients.answered
    const ready = Object.fromEntries(
      await Promise.all(users.map(async (name) => [name, await standing(name)] as const)),
    )
    await until(async () => (clients.answered > answered + 5 ? true : undefined), 60_000)
    whileAway = { answered: clients.answered - answered, ready }

    await server.start()
    await allSay('1')
    const beforeKill = (await store.versions('default')).at(-1)!
    await cluster.kill9('trainer')
    cluster.launch('trainer')
    await cluster.ready('trainer')
    newest = { beforeKill, afterKill: await versionAfter(beforeKill) }
    await clients.stop()
    await caughtUp(cluster)
    await cluster.stop()
    ledger = await readLedger(cluster, store)
  }, 180_000)

  afterAll(async () => {
    await cluster.stop()
    await server.destroy()
    rmSync(directory, { recursive: true, force: true })
  })

  test('no request failed, and they went on while the store was away', () => {
    expect(clients.reasons).toEqual([])
    expect(whileAway.answered).toBeGreaterThan(0)
  })

  test('a store that is away makes nobody unready; who looks is told', () => {
    for (const name of users) {
      expect(whileAway.ready[name]).toEqual({ status: 200, text: expect.stringContaining('ECONNREFUSED') })
    }
  })

  test('versions go on after the store and the trainer are back', () => {
    expect(newest.afterKill).toBeGreaterThan(newest.beforeKill)
  })

  test('over its lives the trainer took every window once, by the state that it keeps there', () => {
    expect(ledger.inTrainer).toEqual(ledger.inTopic)
  })
})
