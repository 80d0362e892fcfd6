import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KafkaBroker } from './broker.js'
import { runCli } from './cli.js'
import { KafkaDevError } from './errors.js'
import { runKafkaTool } from './kafka-tool.js'
import { startBroker } from './start-broker.js'
import { describeWithKafka } from './testing.js'

const topicCommand = (broker: KafkaBroker, ...args: string[]) =>
  runKafkaTool('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', broker.bootstrap, ...args])

async function cli(...args: string[]): Promise<{ exit: number; said: string }> {
  let said = ''
  const exit = await runCli(args, { write: (text) => (said += text) })
  return { exit, said }
}

describeWithKafka('a broker', () => {
  let broker: KafkaBroker
  beforeAll(async () => {
    broker = await startBroker()
  }, 120_000)
  afterAll(() => broker.destroy())

  test('keeps its data and its address through a crash', async () => {
    await topicCommand(broker, '--create', '--topic', 'kept', '--partitions', '3')
    const first = broker.pid
    await broker.kill9()
    expect(broker.pid).toBeUndefined()
    expect(await broker.isServing()).toBe(false)
    expect((await cli('status', '--dir', broker.directory)).exit).toBe(3)
    await broker.start()
    expect(broker.pid).not.toBe(first)
    expect(await topicCommand(broker, '--list')).toBe('kept\n')
  }, 120_000)

  test('does not serve while it is frozen, and serves again once thawed', async () => {
    broker.freeze()
    expect((await cli('status', '--dir', broker.directory)).exit).toBe(4)
    broker.thaw()
    expect((await cli('status', '--dir', broker.directory)).exit).toBe(0)
  })

  test('is joined, not started twice, by a second start in its folder', async () => {
    const { exit, said } = await cli('start', '--dir', broker.directory)
    expect(exit).toBe(0)
    expect(said).toContain(`serving bootstrap=${broker.bootstrap} pid=${broker.pid}`)
  })

  test('refuses another port or kind of security than its folder has', async () => {
    const { directory } = broker
    await expect(startBroker({ directory, port: 1234 })).rejects.toMatchObject({ code: 'WRONG_FOLDER' })
    await expect(startBroker({ directory, security: 'sasl_ssl' })).rejects.toMatchObject({ code: 'WRONG_FOLDER' })
  })

  test('refuses a port that is taken', async () => {
    await expect(startBroker({ port: broker.port })).rejects.toMatchObject({ code: 'PORT_TAKEN' })
  })

  test('says what its log says when it cannot start', async () => {
    const failing = startBroker({ extraProperties: { 'log.retention.bytes': 'plenty' } })
    await expect(failing).rejects.toThrow(/plenty/)
  }, 120_000)

  test('leaves nothing behind when it is destroyed', async () => {
    await broker.destroy()
    expect(existsSync(broker.directory)).toBe(false)
    expect(broker.pid).toBeUndefined()
  })
})

test('a folder that holds something else is neither used nor deleted', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'not-kafka-'))
  writeFileSync(join(directory, 'notes'), 'mine')
  await expect(startBroker({ directory })).rejects.toBeInstanceOf(KafkaDevError)
  await expect(cli('destroy', '--dir', directory)).rejects.toMatchObject({ code: 'WRONG_FOLDER' })
  expect(readFileSync(join(directory, 'notes'), 'utf8')).toBe('mine')
  rmSync(directory, { recursive: true })
})

test.each([['bogus'], ['start', '--port', 'x'], ['start', '--nope'], ['cluster'], ['stop', 'now']])(
  'a mistake on the command line is explained: %s %s',
  async (...args) => {
    await expect(cli(...args)).rejects.toMatchObject({ code: 'BAD_OPTION' })
  },
)
