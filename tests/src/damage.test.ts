import {
  generateSigningKey,
  fileStore,
  readSigningKey,
  sha256Hex,
  versionPath,
  writeCheckpoint,
} from '@plateau/checkpoints'
import {
  DraftCheckpoint,
  encodeHeaders,
  Rollout,
  RolloutState,
  ScoredWindow,
  topics,
  deadLetterTopic,
} from '@plateau/contracts'
import { Cluster, complete, metricSum, readPrompts } from '@plateau/demo'
import type { EventLog } from '@plateau/event-log'
import { describeModelDirectory } from '@plateau/model-files'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoModel, tinyModel } from './models.js'
import { readAll } from './read-all.js'
import { until } from './until.js'

describe('bad input to a running system', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-damage-'))
  const prompts = readPrompts(demoModel, 'sotu').prompts
  let cluster: Cluster
  let log: EventLog

  const ask = (seed: number) =>
    complete(cluster.httpUrl, { prompt: prompts[seed]!, maxTokens: 24, temperature: 1, seed, domain: 'sotu' })

  beforeAll(async () => {
    cluster = await Cluster.start({
      directory,
      model: tinyModel,
      services: ['target-model', 'flatness-scorer', 'serving'],
    })
    log = await cluster.openEventLog()
  })

  afterAll(async () => {
    await log.close()
    await cluster.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('a corrupt record goes to the dead-letter topic untouched, and the windows after it are scored', async () => {
    const producer = log.producer()
    const value = Buffer.from('this is no TokenWindow')
    const headers = encodeHeaders({
      id: 'window:broken:0',
      source: '/test',
      type: 'plateau.stream.v1.TokenWindow',
      timeMs: Date.now(),
    })
    await producer.send(topics.tokenDistributions.name, [{ key: 'broken', value, headers }])
    await producer.close()
    const completion = await ask(1)
    expect(completion.tokenIds.length).toBeGreaterThan(0)

    const dead = deadLetterTopic(topics.tokenDistributions, 'flatness-scorer.score.v1').name
    const letters = await until(async () => {
      const found = await readAll(log, dead).catch(() => [])
      return found.length > 0 ? found : undefined
    })
    expect(letters).toHaveLength(1)
    expect(Buffer.from(letters[0]!.value!)).toEqual(value)
    expect(letters[0]!.headers).toMatchObject({ ...headers, 'x-dlq-original-topic': topics.tokenDistributions.name })
    expect(letters[0]!.headers['x-dlq-error-message']).toBeTruthy()
    const scored = await until(async () => {
      const found = await readAll(log, topics.scoredTokens.name)
      return found.length > 0 ? found : undefined
    })
    expect(ScoredWindow.decode(scored[0]!.value!).tokenIds).toEqual(completion.tokenIds)
  })

  describe('a published draft that must not be loaded', () => {
    const lineage = 'default'

    async function announce(checkpoint: DraftCheckpoint): Promise<Rollout> {
      const producer = log.producer()
      const value = DraftCheckpoint.encode(checkpoint).finish()
      const type = topics.draftCheckpoints.messageType
      const headers = encodeHeaders({
        id: `checkpoint:${lineage}:${checkpoint.version}`,
        source: '/test',
        type,
        timeMs: Date.now(),
      })
      await producer.send(topics.draftCheckpoints.name, [{ key: lineage, value, headers }])
      await producer.close()
      return until(async () => {
        const rollouts = (await readAll(log, topics.rollouts.name)).map((record) => Rollout.decode(record.value!))
        return rollouts.find((r) => r.version === checkpoint.version && r.state === RolloutState.ROLLOUT_STATE_REJECTED)
      })
    }

    /** Writes a version with what is asked for, and returns its announcement. */
    async function publish(
      version: number,
      options: { signedBy?: 'stranger'; target?: string },
    ): Promise<DraftCheckpoint> {
      const model = await describeModelDirectory(tinyModel)
      const key = options.signedBy ? generateSigningKey() : await readSigningKey(cluster.keys.privateKeyFile)
      const reference = await writeCheckpoint(
        fileStore(cluster.checkpointDirectory),
        {
          lineage,
          version,
          parent: 0,
          kind: 'feature-fed-head',
          targetFingerprint: options.target ?? model.fingerprint,
          tokenizerHash: model.tokenizerHash,
          trainedThrough: [],
          trainedPositions: 0,
          policy: '',
          evaluation: { positions: 0, alpha: null, parentAlpha: null, greedyMatch: null },
          codeVersion: 'test',
          createdAt: new Date().toISOString(),
        },
        [{ path: 'config.json', bytes: Buffer.from('{}') }],
        key,
      )
      return DraftCheckpoint.fromPartial({
        schemaVersion: 1,
        ...reference,
        targetFingerprint: model.fingerprint,
        tokenizerHash: model.tokenizerHash,
        kind: 'feature-fed-head',
        publishedAtMs: Date.now(),
      })
    }

    test.each([
      ['signed by a stranger', 1, async () => publish(1, { signedBy: 'stranger' }), /sign/i],
      ['made for another target', 2, async () => publish(2, { target: 'f'.repeat(64) }), /target/i],
      [
        'whose file was changed afterwards',
        3,
        async () => {
          const checkpoint = await publish(3, {})
          writeFileSync(join(cluster.checkpointDirectory, versionPath(lineage, 3), 'config.json'), '{ }')
          return checkpoint
        },
        /config\.json/,
      ],
      [
        'whose manifest is not the announced one',
        4,
        async () => ({ ...(await publish(4, {})), manifestSha256: sha256Hex(Buffer.from('other')) }),
        /digest/i,
      ],
      [
        'that does not exist',
        5,
        async () => ({
          ...(await publish(5, {})),
          version: 6,
          manifestPath: `${versionPath(lineage, 6)}/manifest.json`,
        }),
        /./,
      ],
    ] as const)('%s is refused with the reason, and serving goes on', async (_name, _version, make, reason) => {
      const rollout = await announce(await make())
      expect(rollout.reason).toMatch(reason)
      expect((await ask(7)).draftVersion).toBe('0')
      expect(await metricSum(cluster.httpUrl, 'plateau_draft_versions_rejected_total')).toBeGreaterThan(0)
    })
  })

  describe('a consumer that has stopped', () => {
    test('no request fails while the scorer stands still, and it catches up afterwards', async () => {
      const captured = async () =>
        (await log.offsets(topics.tokenDistributions.name)).reduce((sum, range) => sum + range.next, 0)
      const before = await captured()
      const pid = cluster.processId('flatness-scorer')!
      process.kill(pid, 'SIGSTOP')
      try {
        const completions = await Promise.all(Array.from({ length: 12 }, (_, i) => ask(20 + i)))
        expect(completions.every((completion) => completion.tokenIds.length > 0)).toBe(true)
      } finally {
        process.kill(pid, 'SIGCONT')
      }
      // Capture is a moment behind the answers.
      await until(async () => ((await captured()) >= before + 12 ? true : undefined), 30_000)
      // One of the captured records was the corrupt one.
      const expected = (await captured()) - 1
      const decided = await until(async () => {
        const scored = (await readAll(log, topics.scoredTokens.name)).length
        return scored >= expected ? scored : undefined
      }, 30_000)
      expect(decided).toBe(expected)
    })
  })
})
