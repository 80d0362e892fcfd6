import { deadLetterTopic, groups, PlateauError, topics, type TopicSpec } from '@plateau/contracts'
import { deadLetterRecord } from '@plateau/event-log'
import { startBroker, type KafkaBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLog } from '../open-log.js'
import { dataFiles, readExport } from '../testing/read-export.js'
import { plateau } from '../testing/run-command.js'
import { startPlateau } from '../testing/start-plateau.js'
import { readAll, temporaryDirectory } from '../testing/temporary-log.js'
import { until } from '../testing/until.js'
import { scoredRecord, scoredWindow, tokenRecord } from '../testing/windows.js'

const SOURCE = topics.tokenDistributions.name
const SCORED = topics.scoredTokens.name
const DEAD = deadLetterTopic(topics.tokenDistributions as unknown as TopicSpec, groups.scorer).name

describeWithKafka('the command line on Kafka', () => {
  // Its own: these are the topics' real names, which other suites use, too.
  let broker: KafkaBroker
  let environment: Record<string, string>

  beforeAll(async () => {
    broker = await startBroker({})
    environment = { PLATEAU_EVENT_LOG: `kafka:${broker.bootstrapServers.join()}`, PLATEAU_KAFKA_REPLICATION: '1' }
    const { code, err } = await run('topics', 'apply')
    if (code !== 0) throw new Error(err)
  }, 120_000)
  afterAll(() => broker?.destroy(), 60_000)

  const run = (...args: string[]) => plateau(args, { environment })

  async function withLog<T>(use: (log: Awaited<ReturnType<typeof openLog>>) => Promise<T>): Promise<T> {
    const log = await openLog(environment, undefined)
    try {
      return await use(log)
    } finally {
      await log.close()
    }
  }

  test('what was applied is as declared, and applying again finds nothing to do', async () => {
    expect(await run('topics', 'diff')).toMatchObject({ code: 0, out: expect.stringContaining('as declared') })
    const again = await run('topics', 'apply', '--json')
    expect(again.json()).toEqual({ applied: [], wouldApply: [], left: [] })
  })

  test('a dead letter is listed, shown and sent back once', { timeout: 60_000 }, async () => {
    const original = tokenRecord('poison')
    await withLog(async (log) => {
      const producer = log.producer()
      const [at] = await producer.send(SOURCE, [original])
      const record = { ...original, ...at!, topic: SOURCE, timestampMs: Date.now() }
      const error = new PlateauError('TOKEN_OUT_OF_RANGE', 'too large')
      await producer.send(DEAD, [deadLetterRecord(record, groups.scorer, error, Date.now())])
    })
    const listed = await run('dlq', 'list', '--json')
    expect(listed.json<{ topic: string }[]>().find(({ topic }) => topic === DEAD)).toMatchObject({
      held: 1,
      waiting: 1,
      byClass: { TOKEN_OUT_OF_RANGE: 1 },
    })
    expect((await run('dlq', 'show', '--topic', SOURCE)).out).toContain('sampleId: poison')

    for (let times = 0; times < 2; times++)
      expect(await run('dlq', 'replay', '--topic', SOURCE, '--all')).toMatchObject({ code: 0 })
    const records = await withLog((log) => readAll(log, SOURCE))
    expect(records.map(({ headers }) => headers['ce_id'])).toEqual(['window:poison', 'window:poison'])
    expect(records[1]!.headers['x-dlq-attempts']).toBe('1')
    expect(Buffer.from(records[1]!.value!)).toEqual(Buffer.from(original.value!))
    expect((await run('dlq', 'list', '--topic', SOURCE, '--json')).json()).toMatchObject([{ held: 1, waiting: 0 }])
  })

  test(
    'an export that is killed goes on: every window once, and its group shows no lag',
    { timeout: 120_000 },
    async () => {
      const directory = temporaryDirectory()
      const names = Array.from({ length: 1200 }, (_, i) => `sample-${i}`)
      await withLog((log) =>
        log.producer().send(
          SCORED,
          names.map((name) => scoredRecord(scoredWindow(name))),
        ),
      )
      const args = ['export', 'scored-tokens', '--to', directory, '--rows-per-file', '5', '--group', 'theirs']
      const url = ['--event-log', environment['PLATEAU_EVENT_LOG']!]
      const process = startPlateau(...args, ...url)
      await until(`it writes (${process.said()})`, () => dataFiles(directory).length > 3)
      process.child.kill('SIGKILL')
      await process.ended
      expect(dataFiles(directory).length).toBeLessThan(names.length / 5)

      expect(await run(...args)).toMatchObject({ code: 0 })
      const rows = await readExport(directory)
      expect(rows.map((row) => String(row['sample_id'])).toSorted()).toEqual(names.toSorted())
      const { json } = await run('lag', '--group', 'theirs', '--topic', SCORED, '--json')
      expect(json<{ lag: number }[]>().map(({ lag }) => lag)).toEqual([0, 0, 0, 0])
    },
  )
})
