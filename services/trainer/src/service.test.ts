import { generateSigningKey, writeSigningKey } from '@plateau/checkpoints'
import { initialParameters } from '@plateau/causal-lm'
import { ConfigError, mergeConfigs } from '@plateau/config'
import { DraftCheckpoint, topics } from '@plateau/contracts'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { writeModelDirectory } from '@plateau/model-files'
import { commonConfig, startService, type StartedService } from '@plateau/service-kit'
import { seededRandom } from '@plateau/speculation'
import { silentLogger } from '@plateau/telemetry'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'

import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { trainer } from './service.js'
import { Teacher } from './testing.js'

const WAIT = { timeout: 20_000 }
const metricsOf = async ({ opsUrl }: StartedService): Promise<string> =>
  (await fetch(new URL('/metrics', opsUrl))).text()

const schema = mergeConfigs(commonConfig(trainer.opsPort), trainer.config)

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-trainer-service-'))
  const { config } = new Teacher().model
  const model = join(directory, 'model')
  await writeModelDirectory(model, config, initialParameters(config, seededRandom(1)), 'F16')
  await writeFile(join(model, 'tokenizer.json'), '{}')
  await writeSigningKey(join(directory, 'key.pem'), generateSigningKey())
  await mkdir(join(directory, 'log'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const environment = (changes: Record<string, string> = {}): Record<string, string> => ({
  PLATEAU_EVENT_LOG: `embedded:${join(directory, 'log')}`,
  PLATEAU_MODEL: join(directory, 'model'),
  PLATEAU_CHECKPOINTS: join(directory, 'store'),
  PLATEAU_SIGNING_KEY_FILE: join(directory, 'key.pem'),
  PLATEAU_OPS_PORT: '0',
  PLATEAU_NICENESS: '0',
  PLATEAU_BILINEAR_FEATURES: '8',
  ...changes,
})

describe('the configuration', () => {
  test('needs a model and a signing key, and has a default for the rest', () => {
    expect(schema.parse(environment())).toMatchObject({ lineage: 'default', loss: 'tv', gradients: true })
    const shared = { PLATEAU_PARTITIONS: '0, 2', PLATEAU_MERGE_LINEAGES: 'other' }
    expect(schema.parse(environment(shared))).toMatchObject({ partitions: [0, 2], mergeLineages: ['other'] })
    const chosen = { PLATEAU_TRAIN_DOMAINS: 'chat, code', PLATEAU_TRAIN_TENANTS: ',acme' }
    expect(schema.parse(environment(chosen))).toMatchObject({
      trainDomains: ['chat', 'code'],
      trainTenants: ['', 'acme'],
    })
    expect(() => schema.parse({})).toThrow(/PLATEAU_MODEL[^]*PLATEAU_SIGNING_KEY_FILE/)
  })

  test.each([
    [{ PLATEAU_LOSS: 'mse' }, /PLATEAU_LOSS/],
    [{ PLATEAU_GRADIENT_SHARE: '0' }, /PLATEAU_GRADIENTS=off/],
    [{ PLATEAU_DRAFT: 'trigrams' }, /PLATEAU_DRAFT.*feature-head, causal-lm/],
    [{ PLATEAU_DRAFT: 'causal-lm', PLATEAU_GRADIENTS: 'off' }, /PLATEAU_GRADIENTS=on/],
    [{ PLATEAU_TRAIN_DOMAIN: 'chat' }, /did you mean PLATEAU_TRAIN_DOMAINS/],
    [{ PLATEAU_PARTITIONS: '0,x' }, /PLATEAU_PARTITIONS.*"x" is none/],
    [{ PLATEAU_MERGE_LINEAGES: 'other,default' }, /PLATEAU_LINEAGE itself/],
    [{ PLATEAU_DRAFT: 'causal-lm', PLATEAU_MERGE_LINEAGES: 'other' }, /causal-lm has none/],
    [{ PLATEAU_TRIAL_RULES: 'flatness,flat' }, /PLATEAU_TRIAL_RULES.*"flat" is none/],
    [{ PLATEAU_TRIAL_RULES: 'off,random' }, /leave one of them out/],
    [{ PLATEAU_TRIAL_KEEP: '0' }, /nothing would be kept/],
    [{ PLATEAU_DRAFT: 'causal-lm', PLATEAU_UNROLL_STEPS: '2' }, /feature-head/],
    [{ PLATEAU_RIDGE_LAMBDA: '0' }, /PLATEAU_RIDGE_LAMBDA/],
    [{ PLATEAU_MODEL: '/nowhere' }, /PLATEAU_MODEL/],
    [{ PLATEAU_HALFLIFE: '1000' }, /PLATEAU_HALFLIFE/],
  ])('refuses %o', (changes, problem) => {
    expect(() => schema.parse(environment(changes))).toThrow(ConfigError)
    expect(() => schema.parse(environment(changes))).toThrow(problem)
  })
})

describe('the service', () => {
  test('begins a lineage, answers for its health and metrics, and drains', async () => {
    const eventLog = openEmbeddedEventLog(join(directory, 'log'))
    await eventLog.ensureTopics(Object.values(topics))
    const service = await startService(trainer, schema.parse(environment()), { logger: silentLogger, eventLog })
    expect((await fetch(new URL('/readyz', service.opsUrl))).status).toBe(200)
    await expect.poll(() => metricsOf(service), WAIT).toMatch(/plateau_trainer_version 1/)
    const metrics = await metricsOf(service)
    expect(metrics).toMatch(/plateau_trainer_snapshot_age_seconds/)
    expect(metrics).toMatch(/plateau_trainer_memory_bound_bytes\{part="sums"\} \d+/)
    expect(metrics).toMatch(/plateau_trainer_role\{role="writer"\} 1/)
    expect(metrics).toMatch(/plateau_trainer_role\{role="standby"\} 0/)
    expect(metrics).toMatch(/plateau_consumer_lag_records\{[^}]*group="trainer.train.v1"/)
    expect(getPriority()).toBe(0)
    const reader = eventLog.reader({ topic: topics.draftCheckpoints.name, from: 'earliest' })
    for await (const { records } of reader) {
      expect(DraftCheckpoint.decode(records[0]!.value!).version).toBe(1)
      break
    }
    expect(await service.stop()).toBe(0)
  })

  test('trains the kind of draft that it is told to', async () => {
    const eventLog = openEmbeddedEventLog(join(directory, 'log'))
    await eventLog.ensureTopics(Object.values(topics))
    const causal = { PLATEAU_DRAFT: 'causal-lm', PLATEAU_DRAFT_VOCABULARY: '16', PLATEAU_CAUSAL_LM_HIDDEN_SIZE: '16' }
    const service = await startService(trainer, schema.parse(environment(causal)), { logger: silentLogger, eventLog })
    for await (const { records } of eventLog.reader({ topic: topics.draftCheckpoints.name, from: 'earliest' })) {
      expect(DraftCheckpoint.decode(records[0]!.value!)).toMatchObject({ version: 1, kind: 'causal-lm' })
      break
    }
    expect(await service.stop()).toBe(0)
  })

  /** Of which nobody answers. */
  const bucket = { PLATEAU_CHECKPOINTS: 's3://drafts/prefix', PLATEAU_S3_ENDPOINT: 'http://127.0.0.1:9' }

  test('waits for a store that is away, ready and told so, and stops when it should', async () => {
    const eventLog = openEmbeddedEventLog(join(directory, 'log'))
    for (const name of ['id', 'secret']) await writeFile(join(directory, name), name)
    const keys = {
      PLATEAU_S3_ACCESS_KEY_ID_FILE: join(directory, 'id'),
      PLATEAU_S3_SECRET_ACCESS_KEY_FILE: join(directory, 'secret'),
    }
    const config = schema.parse(environment({ ...bucket, ...keys }))
    const service = await startService(trainer, config, { logger: silentLogger, eventLog })
    await expect.poll(() => metricsOf(service), WAIT).toMatch(/plateau_checkpoint_store_reachable(\{[^}]*\})? 0/)
    const ready = await fetch(new URL('/readyz', service.opsUrl))
    expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining('ECONNREFUSED')])
    expect(await metricsOf(service)).toMatch(/plateau_trainer_role\{role="standby"\} 1/)
    expect(await service.stop()).toBe(0)
  })

  test('ends when its key is none, instead of standing by for nothing', async () => {
    const eventLog = openEmbeddedEventLog(join(directory, 'log'))
    await writeFile(join(directory, 'empty'), '\n')
    const keys = {
      PLATEAU_S3_ACCESS_KEY_ID_FILE: join(directory, 'empty'),
      PLATEAU_S3_SECRET_ACCESS_KEY_FILE: join(directory, 'empty'),
    }
    const config = schema.parse(environment({ ...bucket, ...keys }))
    const service = await startService(trainer, config, { logger: silentLogger, eventLog })
    expect(await service.stopped).toBe(1)
  })

  test('a second one stands by, ready, and takes over when the first has stopped', async () => {
    const start = async () => {
      const eventLog = openEmbeddedEventLog(join(directory, 'log'))
      return startService(trainer, schema.parse(environment()), { logger: silentLogger, eventLog })
    }
    const first = await start()
    await expect.poll(() => metricsOf(first), WAIT).toMatch(/plateau_trainer_version 1/)
    const second = await start()
    expect((await fetch(new URL('/readyz', second.opsUrl))).status).toBe(200)
    expect(await metricsOf(second)).toMatch(/plateau_trainer_role\{role="standby"\} 1/)
    expect(await first.stop()).toBe(0)
    await expect.poll(() => metricsOf(second), WAIT).toMatch(/plateau_trainer_role\{role="writer"\} 1/)
    await expect.poll(() => metricsOf(second), WAIT).toMatch(/plateau_trainer_epoch 2/)
    expect(await second.stop()).toBe(0)
  })

  test('on a provider that is not there it says so before it stands by', async () => {
    const eventLog = openEmbeddedEventLog(join(directory, 'log'))
    const config = schema.parse(environment({ PLATEAU_EXECUTION_PROVIDER: 'cuda' }))
    const outcome = await startService(trainer, config, { logger: silentLogger, eventLog }).then(
      async (service) => `started, ${await service.stop()}`,
      (error: Error) => error.message,
    )
    await eventLog.close()
    // A machine that has one is no worse for this test.
    expect(outcome).toMatch(/^started, 0$|to run on CUDA.*choose the provider cpu/)
  })

  test.each([
    ['a model without its tokenizer', 'tokenizer', /tokenizer/],
    ['a key that others can read', 'key', /chmod 600/],
  ])('does not start with %s', async (_, what, problem) => {
    if (what === 'tokenizer') await rm(join(directory, 'model', 'tokenizer.json'))
    else await writeFile(join(directory, 'other.pem'), 'anything', { mode: 0o644 })
    const changes = what === 'key' ? { PLATEAU_SIGNING_KEY_FILE: join(directory, 'other.pem') } : {}
    const eventLog = openEmbeddedEventLog(join(directory, 'log'))
    await eventLog.ensureTopics(Object.values(topics))
    const config = schema.parse(environment(changes))
    await expect(startService(trainer, config, { logger: silentLogger, eventLog })).rejects.toThrow(problem)
    await eventLog.close()
  })
})
