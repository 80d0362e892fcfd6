/** For tests: a log, a store and what they hold, made anew for every test of a file. */
import { DraftCheckpoint, topics } from '@plateau/contracts'
import { openCheckpoint, type CheckpointStore } from '@plateau/checkpoints'
import type { EventLog, LogRecord, NewRecord } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach } from 'vitest'
import { trainerDeadLetters, TRAINER_GROUP } from './dead-letters.js'
import type { GradientTurnsState } from './kinds/gradient-turns.js'
import { decodeFeatureHeadState } from './kinds/feature-head/feature-head-state.js'
import { decodeSnapshot, SNAPSHOT_NAME } from './snapshot.js'
import { key, openBench, type Bench, type Teacher } from './testing.js'
import { lineageTopics, toldTopics } from './writer-terms.js'

const source = topics.trainingWindows.name

/** Call it at the top of a test file. */
export function useTrainerWorld(teacher: Teacher) {
  const world = { directory: '', log: undefined as unknown as EventLog }
  beforeEach(async () => {
    world.directory = await mkdtemp(join(tmpdir(), 'plateau-trainer-'))
    await openLog()
  })
  afterEach(async () => {
    await world.log.close()
    await rm(world.directory, { recursive: true, force: true })
  })

  const logFolder = (): string => join(world.directory, 'log')

  async function openLog(): Promise<void> {
    world.log = openEmbeddedEventLog(logFolder())
    await world.log.ensureTopics([topics.trainingWindows, ...toldTopics, ...lineageTopics, trainerDeadLetters])
  }

  async function readAll(topic: string): Promise<LogRecord[]> {
    const reader = world.log.reader({ topic, from: 'earliest' })
    void reader.caughtUp.then(() => reader.close())
    const found: LogRecord[] = []
    for await (const batch of reader) found.push(...batch.records)
    return found
  }

  /** Until everything in the topic is behind a saved snapshot. */
  async function consumed(): Promise<void> {
    const ranges = await world.log.offsets(source)
    for (;;) {
      const committed = await world.log.committed(TRAINER_GROUP, source)
      const reached = (partition: number): number => committed.find((at) => at.partition === partition)?.offset ?? -1
      if (ranges.every(({ partition, earliest, next }) => next === earliest || reached(partition) >= next)) return
      await sleep(5)
    }
  }

  async function savedState(store: CheckpointStore, lineage = 'default') {
    const saved = decodeSnapshot((await store.readState(lineage, SNAPSHOT_NAME))!, 'test')
    const { turns } = saved.learner.facts as { readonly turns: GradientTurnsState['facts'] }
    return { ...saved, gradientPositions: turns.freshPositions, replay: saved.learner.replay }
  }

  const announcements = async (): Promise<DraftCheckpoint[]> =>
    (await readAll(topics.draftCheckpoints.name)).map(({ value }) => DraftCheckpoint.decode(value!))

  return {
    get directory() {
      return world.directory
    },
    get log() {
      return world.log
    },
    readAll,
    consumed,
    savedState,
    announcements,

    open: (options: Parameters<typeof openBench>[3] = {}, wrap: Parameters<typeof openBench>[4] = {}): Promise<Bench> =>
      openBench(world.log, join(world.directory, 'store'), teacher.model, options, wrap),

    send: async (all: readonly NewRecord[], topic: string = source): Promise<void> => {
      const producer = world.log.producer()
      await producer.send(topic, all)
      await producer.close()
    },

    /** Runs the trainer until it has consumed everything. */
    trained: async (bench: Bench): Promise<void> => {
      const running = bench.trainer.run()
      await Promise.race([consumed(), running])
      await bench.trainer.close()
      await running
    },

    savedHeadState: async (store: CheckpointStore, lineage?: string) => {
      const saved = await savedState(store, lineage)
      return { ...saved, ...decodeFeatureHeadState(saved.learner) }
    },

    /** The files and the manifest of an announced version, checked. */
    versionFiles: async (store: CheckpointStore, version: number, lineage = 'default') => {
      const isIt = (one: DraftCheckpoint): boolean => one.version === version && one.lineage === lineage
      const announced = (await announcements()).find(isIt)!
      const { files, manifest } = await openCheckpoint(store, announced, {
        publicKeys: [key],
        lineage,
        targetFingerprint: teacher.model.fingerprint,
        tokenizerHash: teacher.model.tokenizerHash,
        minVersion: 1,
      })
      return { announced, files, manifest }
    },

    /** The log is lost, and another one takes its place. */
    beginLogAgain: async (): Promise<void> => {
      await world.log.close()
      await rm(logFolder(), { recursive: true })
      await openLog()
    },
  }
}
