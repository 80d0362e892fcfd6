import { fileStore, generateSigningKey, writeSigningKey } from '@plateau/checkpoints'
import { ConfigError, mergeConfigs } from '@plateau/config'
import { topics, type TopicSpec } from '@plateau/contracts'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { commonConfig, startService } from '@plateau/service-kit'
import { silentLogger, type Logger } from '@plateau/telemetry'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { consoleTopics } from './model/parse-record.js'
import { consoleService } from './service.js'
import { sent } from './testing/records.js'
import { sendAll, writeHistory } from './testing/write-history.js'

const schema = mergeConfigs(commonConfig(consoleService.opsPort), consoleService.config)

describe('the configuration', () => {
  it('has a default for everything, and opens the page to this machine only', () => {
    expect(schema.parse({})).toMatchObject({ host: '127.0.0.1', port: 8090, token: undefined, checkpoints: undefined })
  })

  it.each([
    [{ PLATEAU_CONSOLE_HOST: '0.0.0.0' }, /set PLATEAU_CONSOLE_TOKEN_FILE/],
    [{ PLATEAU_CONSOLE_HOST: '::' }, /set PLATEAU_CONSOLE_TOKEN_FILE/],
    [{ PLATEAU_CONSOLE_TOKEN: 'short' }, /fewer than 16/],
    [{ PLATEAU_CONSOLE_PORTS: '1' }, /did you mean PLATEAU_CONSOLE_PORT/],
    [{ PLATEAU_CHECKPOINTS: '/nowhere/at/all' }, /PLATEAU_CHECKPOINTS/],
  ])('refuses %o', (environment, problem) => {
    expect(() => schema.parse(environment)).toThrow(ConfigError)
    expect(() => schema.parse(environment)).toThrow(problem)
  })

  it('takes another address with a token', () => {
    const environment = { PLATEAU_CONSOLE_HOST: '0.0.0.0', PLATEAU_CONSOLE_TOKEN: 'sixteen-or-more-characters' }
    expect(schema.parse(environment).host).toBe('0.0.0.0')
  })
})

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'plateau-console-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Starts the console on this log, and finds out where its page is. */
async function start(path: string, settings: Record<string, string> = {}) {
  const config = schema.parse({
    PLATEAU_EVENT_LOG: `embedded:${join(path, 'log')}`,
    PLATEAU_OPS_PORT: '0',
    PLATEAU_CONSOLE_PORT: '0',
    ...settings,
  })
  let url = ''
  const info: Logger['info'] = (message, fields) => {
    if (message === 'console open') url = String(fields?.['url'])
  }
  const service = await startService(consoleService, config, { logger: { ...silentLogger, info } })
  onTestFinished(async () => void (await service.stop()))
  const text = async (path: string) =>
    (await (await fetch(new URL(path, url))).text()).replaceAll(/<[^>]*>|\s+/g, ' ').replaceAll(/ +/g, ' ')
  return { service, text, get: (path: string) => fetch(new URL(path, url)) }
}

const about = () => ({ seed: 11, endMs: Date.now(), minutes: 24, minutesPerVersion: 3 })

describe('the service', () => {
  it('shows what the log and the store hold, follows what comes, and drains', async () => {
    const path = await directory()
    const key = generateSigningKey()
    await writeSigningKey(join(path, 'signing.pem'), key)
    const log = openEmbeddedEventLog(join(path, 'log'))
    onTestFinished(() => log.close())
    await writeHistory(log, { directory: join(path, 'checkpoints'), key }, about())
    const { service, text } = await start(path, {
      PLATEAU_CHECKPOINTS: join(path, 'checkpoints'),
      PLATEAU_VERIFY_KEY_FILE: join(path, 'signing.pem.pub'),
    })
    await expect.poll(() => text('/'), { timeout: 10_000 }).toMatch(/Live v7 . confirmed.*On their way v8/)
    await expect.poll(() => text('/'), { timeout: 10_000 }).not.toContain('Still reading')

    const version = await text('/versions/default/6')
    expect(version).toContain('rolled back, and version 5 took its place')
    expect(version).toContain('partition 3: before offset 1,863 (310 records since its parent)')
    expect(version).toContain('gradients: 2 tenants; closed form: 2 tenants')
    expect(version).toContain('flatness keeps 50 % of windows')
    expect(version).toMatch(/Signature ✔ good/)
    expect(version).toMatch(/v5 .* ← v4|v5 . replaced/)

    await sendAll(log, [
      sent.rollout('now', {
        version: 8,
        state: 3,
        reason: 'promoted by hand',
        orderedBy: 'alice',
        atMs: Date.now(),
        server: 'serving-a:7001:4be1c0d2',
      }),
    ])
    await expect
      .poll(() => text('/versions/default/8'), { timeout: 10_000 })
      .toContain('is live, and watched by order of alice: promoted by hand.')
    expect((await fetch(new URL('/readyz', service.opsUrl))).status).toBe(200)
    const metrics = await (await fetch(new URL('/metrics', service.opsUrl))).text()
    expect(metrics).toMatch(/plateau_console_records_total\{[^}]*result="applied"[^}]*\} [1-9]/)
    expect(await service.stop()).toBe(0)
  })

  it('starts before its topics are there, creates none, and finds them when they come', async () => {
    const path = await directory()
    const log = openEmbeddedEventLog(join(path, 'log'))
    onTestFinished(() => log.close())
    const { text } = await start(path)
    await expect.poll(() => text('/')).toContain('Nobody has created')
    const missing = await log.compareTopics(consoleTopics as unknown as TopicSpec[])
    expect(missing.filter(({ kind }) => kind === 'missing')).toHaveLength(consoleTopics.length)
    await log.ensureTopics(consoleTopics as unknown as TopicSpec[])
    await sendAll(log, [sent.rollout('first', { version: 1, state: 3, reason: 'the first', atMs: Date.now() })])
    await expect.poll(() => text('/'), { timeout: 10_000 }).toMatch(/Live v1 . live/)
    await expect.poll(() => text('/'), { timeout: 10_000 }).not.toContain('Nobody has created')
  })

  it('counts what it cannot use, and shows the rest', async () => {
    const path = await directory()
    const log = openEmbeddedEventLog(join(path, 'log'))
    onTestFinished(() => log.close())
    await log.ensureTopics(consoleTopics as unknown as TopicSpec[])
    const good = sent.rollout('good', { version: 1, state: 3, atMs: Date.now() })
    const bad = { topic: topics.rollouts.name, record: { ...good.record, value: Buffer.from('ffff', 'hex') } }
    await sendAll(log, [bad, good, bad])
    const { text } = await start(path)
    await expect.poll(() => text('/'), { timeout: 10_000 }).toContain(`2 of ${topics.rollouts.name}`)
    expect(await text('/')).toMatch(/Live v1/)
  })
})

describe('the files of a version', () => {
  it('that somebody changed are said to be what they are', async () => {
    const path = await directory()
    const key = generateSigningKey()
    const store = join(path, 'checkpoints')
    await writeSigningKey(join(path, 'other.pem'), generateSigningKey())
    const log = openEmbeddedEventLog(join(path, 'log'))
    onTestFinished(() => log.close())
    await writeHistory(log, { directory: store, key }, { ...about(), minutes: 12 })
    await fileStore(store).remove('default', 1)
    await mkdir(join(store, 'default/v00000001'))
    await writeFile(join(store, 'default/v00000001/manifest.json'), '{}')
    await fileStore(store).remove('default', 2)
    const { text } = await start(path, {
      PLATEAU_CHECKPOINTS: store,
      PLATEAU_VERIFY_KEY_FILE: join(path, 'other.pem.pub'),
    })
    await expect
      .poll(() => text('/versions/default/1'), { timeout: 10_000 })
      .toMatch(/In the store cannot be used: .*schema should be 1/)
    expect(await text('/versions/default/2')).toContain('no longer there')
    expect(await text('/versions/default/4')).toMatch(/Signature ✕ does not fit, or its key is another one/)
  })
})
