/**
 * Consumers of other teams against a real broker with TLS, passwords and grants: they know docs/topics, the Protobuf files
 * and topic names. The records are recorded ones, sent through our adapter.
 */
import { allTopics, ScoredWindow, type TopicSpec } from '@plateau/contracts'
import type { EventLog, NewRecord } from '@plateau/event-log'
import { openKafkaEventLog } from '@plateau/event-log-kafka'
import { resolveKafka, startBroker, type KafkaBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  commandsOf,
  describeWithPrograms,
  jarOfExample,
  mustRun,
  pythonForExample,
  root,
  run,
  shim,
} from './consumer-tools.js'

const SLOW_MS = 600_000
const ADMIN = { name: 'admin', password: 'admin-secret' }
const RESEARCH = { name: 'research', password: 'research-secret' }
const SCHEMA_ID = 70_000

interface Sample {
  topic: string
  key: string
  headers: Record<string, string>
  value: string
}

const pages = ['scored-tokens', 'draft-checkpoints', 'rollouts', 'acceptance']
const sampleOf = (page: string) =>
  JSON.parse(readFileSync(join(root, `docs/topics/samples/${page}.json`), 'utf8')) as Sample
const scored = sampleOf('scored-tokens')
const acceptance = sampleOf('acceptance')

function recordOf(sample: Sample, change: { id?: string; value?: Uint8Array; message?: string } = {}): NewRecord {
  return {
    key: sample.key,
    value: change.value ?? Buffer.from(sample.value, 'base64'),
    headers: {
      ...sample.headers,
      ...(change.id === undefined ? {} : { ce_id: change.id }),
      ...(change.message === undefined ? {} : { 'x-proto-message': change.message }),
    },
  }
}

describeWithKafka('consumers that know only the published contract', () => {
  let broker: KafkaBroker
  let folder: string
  /** Client properties of the research team. */
  let forPython: string
  let forJava: string

  beforeAll(async () => {
    broker = await startBroker({ security: 'sasl_ssl', users: [ADMIN, RESEARCH] })
    folder = mkdtempSync(join(tmpdir(), 'plateau-consumers-'))
    if (broker.security.kind !== 'sasl_ssl') throw new Error('the broker has no TLS')
    const { caFile, mtls } = broker.security
    const login = `username="${RESEARCH.name}" password="${RESEARCH.password}";`
    const common = ['security.protocol=SASL_SSL', 'sasl.mechanism=SCRAM-SHA-512']
    forPython = write('python.properties', [
      ...common,
      `sasl.username=${RESEARCH.name}`,
      `sasl.password=${RESEARCH.password}`,
      `ssl.ca.location=${caFile}`,
    ])
    forJava = write('java.properties', [
      ...common,
      `sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required ${login}`,
      'ssl.truststore.type=PEM',
      `ssl.truststore.location=${caFile}`,
    ])
    write('kcat.conf', [
      'security.protocol=ssl',
      `ssl.ca.location=${caFile}`,
      `ssl.certificate.location=${mtls.certFile}`,
      `ssl.key.location=${mtls.keyFile}`,
    ])
    copyFileSync(broker.clientPropertiesFile, join(folder, 'admin.properties'))
    await publish()
  }, SLOW_MS)

  afterAll(async () => {
    await broker?.destroy()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  function write(name: string, lines: readonly string[]): string {
    writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
    return join(folder, name)
  }

  function openLog(wire: 'raw' | 'confluent'): Promise<EventLog> {
    if (broker.security.kind !== 'sasl_ssl') throw new Error('the broker has no TLS')
    return openKafkaEventLog({
      bootstrapServers: broker.bootstrapServers,
      tls: { ca: readFileSync(broker.security.caFile, 'utf8') },
      sasl: { mechanism: 'scram-sha-512', username: ADMIN.name, password: ADMIN.password },
      replication: 1,
      wire: wire === 'raw' ? { kind: 'raw' } : { kind: 'confluent', schemaIdOf: () => SCHEMA_ID },
    })
  }

  /** Of each topic a recorded record; for the examples' topics, in this order: it again, what is unusable, a framed and a bare one. */
  async function publish(): Promise<void> {
    const raw = await openLog('raw')
    const confluent = await openLog('confluent')
    try {
      const published = allTopics.filter(({ name }) => name.startsWith('public.')) as TopicSpec[]
      await raw.ensureTopics(published)
      await confluent.ensureTopics(published)
      const bare = raw.producer()
      for (const page of pages) await bare.send(sampleOf(page).topic, [recordOf(sampleOf(page))])
      const framed = confluent.producer()
      for (const sample of [scored, acceptance]) {
        await bare.send(sample.topic, [
          recordOf(sample),
          recordOf(sample, { id: 'truncated', value: Buffer.from(sample.value, 'base64').subarray(0, -1) }),
          recordOf(sample, { id: 'half a frame', value: Buffer.from([0, 0, 0]) }),
          recordOf(sample, { id: 'another message', message: 'plateau.stream.v1.Rollout' }),
        ])
        if (sample === scored) {
          const window = ScoredWindow.decode(Buffer.from(scored.value, 'base64'))
          const value = ScoredWindow.encode({ ...window, flatness: [] }).finish()
          await bare.send(sample.topic, [recordOf(sample, { id: 'numbers missing', value: Buffer.from(value) })])
        }
        await framed.send(sample.topic, [recordOf(sample, { id: 'framed' })])
        await bare.send(sample.topic, [recordOf(sample, { id: 'last' })])
      }
    } finally {
      await raw.close()
      await confluent.close()
    }
  }

  describeWithPrograms(['python3', 'java', 'mvn'], 'the examples', () => {
    let python: string
    let jar: string

    beforeAll(async () => {
      python = await pythonForExample()
      jar = await jarOfExample()
    }, SLOW_MS)

    const runPython = (...args: string[]) => run(python, ['examples/python/flattest_tokens.py', ...args])
    const runJava = (...args: string[]) => run('java', ['-jar', jar, ...args])
    const python_ = (...args: string[]) => runPython('--bootstrap', broker.bootstrap, '--config', forPython, ...args)
    const java_ = (...args: string[]) => runJava('--bootstrap', broker.bootstrap, '--config', forJava, ...args)

    test('explain themselves, and refuse what they do not know', async () => {
      for (const example of [runPython, runJava]) {
        expect(await example('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--bootstrap') })
        expect((await example('--bootstrap', 'x:1', '--frobnicate')).status).toBe(2)
        expect((await example()).status).toBe(2)
      }
    })

    test('say in one line that no broker answers', async () => {
      const nowhere = ['--bootstrap', '127.0.0.1:1']
      for (const { status, stderr } of await Promise.all([runPython(...nowhere), runJava(...nowhere)])) {
        expect({ status, lines: stderr.trim().split('\n') }).toEqual({
          status: 1,
          lines: [expect.stringMatching(/^error: no broker answered: check --bootstrap/)],
        })
      }
    })

    test('say in one line that they have no right, until the two grants of the documents are given', async () => {
      for (const example of [python_, java_]) {
        const { status, stdout, stderr } = await example('--group', 'research.first.v1', '--max', '1')
        expect({ status, stdout, stderr: stderr.trim() }).toEqual({
          status: 1,
          stdout: '',
          stderr: expect.stringMatching(
            /^error: you may not read public\.plateau\.[a-z.-]+1: ask for READ and DESCRIBE/,
          ),
        })
      }
      const [grants] = commandsOf('docs/topics/README.md', 'kafka-acls.sh')
      shim(folder, 'kafka-acls.sh', [
        'java',
        '-cp',
        join(await resolveKafka(), '*'),
        'org.apache.kafka.tools.AclCommand',
      ])
      await mustRun('bash', ['-euc', grants!.replaceAll('NAME', RESEARCH.name)], {
        cwd: folder,
        env: { KAFKA: broker.bootstrap, PATH: `${folder}${delimiter}${process.env['PATH']}` },
      })
      const foreignGroup = await python_('--group', 'trainer.train.v1', '--max', '1')
      expect(foreignGroup).toMatchObject({ status: 1, stderr: expect.stringContaining('you may not use this group') })
    })

    test('Python prints each window once, framed or not, and goes on past what it cannot use', async () => {
      const group = ['--group', 'research.flattest.v1']
      const { status, stdout, stderr } = await python_(...group, '--max', '3', '--tokens', '2')
      expect({ status, stderr: stderr.trim().split('\n').at(-1) }).toEqual({
        status: 0,
        stderr: '3 windows, 1 duplicates, 4 unusable',
      })
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object)
      const topic = allTopics.find(({ name }) => name === scored.topic)!
      const window = topic.codec.decode(Buffer.from(scored.value, 'base64')) as {
        flatness: number[]
        tokenIds: number[]
      }
      const best = Math.max(...window.flatness)
      const first = {
        position: window.flatness.indexOf(best),
        token_id: window.tokenIds[window.flatness.indexOf(best)],
      }
      const expected = { sample_id: scored.key, flattest: [expect.objectContaining(first), expect.anything()] }
      expect(lines).toEqual(Array(3).fill(expect.objectContaining(expected)))
      for (const reason of ['it does not decode', 'not plateau.stream.v1.ScoredWindow', 'numbers for flatness'])
        expect(stderr).toContain(reason)
    })

    test('Java adds up each record once, framed or not, and goes on past what it cannot use', async () => {
      const { status, stdout, stderr } = await java_('--group', 'research.acceptance.v1', '--max', '3')
      expect({ status, stderr: stderr.trim().split('\n').at(-1) }).toEqual({
        status: 0,
        stderr: '3 records, 1 duplicates, 3 unusable',
      })
      const topic = allTopics.find(({ name }) => name === acceptance.topic)!
      const one = topic.codec.decode(Buffer.from(acceptance.value, 'base64')) as Record<string, number>
      expect(JSON.parse(stdout)).toMatchObject({
        draft_version: acceptance.key,
        drafts: 3 * one['numDrafts']!,
        draft_tokens: 3 * one['numDraftTokens']!,
        accepted_tokens: 3 * one['numAcceptedTokens']!,
        acceptance_rate: expect.closeTo(one['numAcceptedTokens']! / one['numDraftTokens']!, 5),
        mean_acceptance_length: expect.closeTo(1 + one['numAcceptedTokens']! / one['numDrafts']!, 5),
      })
    })

    test('have committed what they processed: the same group gets nothing again', async () => {
      const again = await python_('--group', 'research.flattest.v1', '--idle', '5')
      expect(again).toMatchObject({ status: 0, stdout: '', stderr: '0 windows, 0 duplicates, 0 unusable\n' })
      const javaAgain = await java_('--group', 'research.acceptance.v1', '--idle', '5')
      expect(javaAgain).toMatchObject({ status: 0, stdout: '', stderr: '0 records, 0 duplicates, 0 unusable\n' })
    })

    describeWithPrograms(['kcat'], 'the commands of the topic pages', () => {
      test.each(pages)('%s: every kcat command works as it stands there', async (page) => {
        if (broker.security.kind !== 'sasl_ssl') throw new Error('the broker has no TLS')
        const bin = join(folder, 'bin')
        mkdirSync(bin, { recursive: true })
        shim(bin, 'protoc', [python, '-m', 'grpc_tools.protoc'])
        const env = {
          // kcat's SCRAM is too old for Kafka 4; the certificate is the research team's as well.
          KAFKA: broker.security.mtls.bootstrap,
          KCAT_CONFIG: join(folder, 'kcat.conf'),
          PATH: `${bin}${delimiter}${process.env['PATH']}`,
        }
        const commands = commandsOf(`docs/topics/${page}.md`, 'kcat')
        expect(commands.length).toBeGreaterThan(0)
        for (const command of commands) {
          const { status, stdout, stderr } = await run('bash', ['-o', 'pipefail', '-euc', command], { env })
          expect({ command, status, stderr }).toEqual({ command, status: 0, stderr: expect.any(String) })
          expect(stdout).toContain(sampleOf(page).key)
        }
      })
    })
  })
})
