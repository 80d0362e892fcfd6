import { causalDraftKind, featureHeadRow, type FeatureHead } from '@plateau/causal-lm'
import type { CheckpointStore } from '@plateau/checkpoints'
import { Arm, PlateauError, SelectionPolicy, topics, type TokenWindow } from '@plateau/contracts'
import type { EventLog, LogRecord, NewRecord, Producer } from '@plateau/event-log'
import { CausalLmDraftScorer, evaluateDraft, summarizeScores, windowRows } from '@plateau/inference'
import { decodeCausalDraft, decodeFeatureHead } from '@plateau/model-files'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { addRows, emptySums, SumBank, type RidgeSums } from '@plateau/training'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { trainerDeadLetters, TRAINER_GROUP } from './dead-letters.js'
import { DraftLine } from './draft-line.js'
import { declareTrainerMetrics } from './metrics.js'
import { ServingVerdicts } from './serving-verdicts.js'
import { SNAPSHOT_NAME } from './snapshot.js'
import { BILINEAR_FEATURES, headKind, key, openBench, records, Teacher, trainingRecord, type Bench } from './testing.js'
import * as serving from './testing-serving.js'
import { useTrainerWorld } from './testing-world.js'
import { acceptRecord, expectationsOf } from './training-record.js'
import { LEARNED_FROM_NOBODY } from './kinds/learned-from.js'

const teacher = new Teacher()
const source = topics.trainingWindows.name
const orders = topics.rolloutOrders.name
const kinds = ['feature-head', 'causal-lm'] as const
const { hiddenSize: H, vocabSize: V } = teacher.model.config

const world = useTrainerWorld(teacher)
const { open, send, consumed, trained, readAll, announcements, savedState, savedHeadState } = world

/** What a stored version is worth on windows that nobody has seen. */
async function alphaOf(store: CheckpointStore, version: number, windows: readonly TokenWindow[]): Promise<number> {
  const { announced, files } = await world.versionFiles(store, version)
  if (announced.kind !== causalDraftKind) {
    return (await evaluateDraft(decodeFeatureHead(files, 'test'), teacher.model, windows)).alpha
  }
  const draft = decodeCausalDraft(files, 'test')
  const scorer = await CausalLmDraftScorer.create(draft.config, { threads: 1, listedTokens: 16 })
  const rows = windows.map((window) => windowRows(window, { ...expectations, norm: undefined }))
  const { alpha } = summarizeScores(await scorer.score(draft, rows))
  await scorer.release()
  return alpha
}

const expectations = expectationsOf(teacher.model)

/** The sums of what may be trained on, each window once, row by row. */
async function plainSums(bench: Bench, from: readonly LogRecord[]): Promise<RidgeSums> {
  const sums = emptySums(2 * H + BILINEAR_FEATURES, H)
  const seen = new Set<string>()
  for (const record of from) {
    const { id, purpose, rows } = acceptRecord(record, expectations)
    if (purpose !== 'training' || seen.has(id)) continue
    seen.add(id)
    const row = (i: number): Float32Array => rows.features.subarray(i * H, (i + 1) * H)
    const x = Array.from(rows.tokens, (token, i) => [
      ...featureHeadRow(bench.line.incumbent as FeatureHead, teacher.model.target, token, row(i)),
    ])
    const y = rows.nextFeatures.map((value, i) => value / teacher.model.target.norm[i % H]!)
    addRows(sums, Float32Array.from(x.flat()), y, rows.weights)
  }
  return sums
}

function relativeDifference(a: RidgeSums, b: RidgeSums): number {
  const largest = b.gram.reduce((max, x) => Math.max(max, Math.abs(x)), 0)
  const lower = a.gram.map((x, at) => (at % a.inputs <= Math.floor(at / a.inputs) ? Math.abs(x - b.gram[at]!) : 0))
  const moment = a.moment.map((x, at) => Math.abs(x - b.moment[at]!))
  return Math.max(...lower, ...moment, Math.abs(a.weight - b.weight)) / largest
}

describe('the trainer', () => {
  test.each([
    ['feature-head', 0.2],
    ['causal-lm', 0.02],
  ] as const)(
    'publishes versions of a %s that get better, each signed, announced and explained',
    async (draft, gain) => {
      const all = records(teacher, 's', 240)
      const bench = await open({ draft })
      const running = bench.trainer.run()
      for (let from = 0; from < all.length; from += 60) {
        await send(all.slice(from, from + 60))
        await consumed()
      }
      // A solve or a step comes at its time: on a busy machine the traffic goes on a little.
      for (let more = 0; bench.line.version < 3; more++) {
        await send(records(teacher, `more${more}-`, 20))
        await consumed()
      }
      await bench.trainer.close()
      await running
      const announced = await announcements()
      expect(announced.map(({ version }) => version)).toEqual(announced.map((_, i) => i + 1))
      expect(announced.length).toBeGreaterThanOrEqual(3)
      for (const { evaluation, version } of announced.slice(1)) {
        expect(`${version} ${evaluation!.alpha > evaluation!.parentAlpha}`).toBe(`${version} true`)
      }
      const fresh = Array.from({ length: 20 }, (_, i) => teacher.window(`fresh${i}`))
      const first = await alphaOf(bench.store, 1, fresh)
      expect(await alphaOf(bench.store, announced.length, fresh)).toBeGreaterThan(first + gain)
      expect(announced.at(-1)!.trainedPositions).toBeGreaterThan(1000)
    },
  )

  test('trains on what it may, every window once, and never on the evaluation arm', async () => {
    const all = records(teacher, 's', 100)
    // The same windows again, as a producer that was not sure repeats them, in part at once and in part later.
    await send([...all.slice(0, 60), ...all.slice(20, 70), ...all.slice(60)])
    const bench = await open()
    await trained(bench)
    const { closedForm, closedFormPositions, windows } = await savedHeadState(bench.store)
    const expected = await plainSums(bench, await readAll(source))
    expect(relativeDifference(SumBank.of(closedForm.bank).total(), expected)).toBeLessThan(1e-5)
    expect(closedFormPositions).toBe(expected.weight)
    expect(windows).toEqual({ 'selected/keep': 40, 'selected/drop': 40, 'evaluation/drop': 20 })
    expect(bench.metrics.duplicates.value({})).toBe(50)
  })

  test.each(kinds)(
    'killed at any moment, a %s continues from its snapshot as if nothing had happened',
    async (draft) => {
      const options = { draft, gradients: true, learnPolicy: true }
      const all = records(teacher, 's', 120)
      await send(all.slice(0, 70))
      const before = await open(options)
      await trained(before)
      // This state survives the kill; whatever the first process does after it is lost.
      const survivor = (await before.store.readState('default', SNAPSHOT_NAME))!
      await send(all.slice(70, 95))
      await trained(await open(options))
      await before.store.putState('default', SNAPSHOT_NAME, survivor, 0)

      await send(all.slice(95))
      const after = await open(options)
      await trained(after)
      const { windows, gradientPositions, heldOut } = await savedState(after.store)
      expect(Object.values(windows).reduce((a, b) => a + b)).toBe(120)
      expect(gradientPositions).toBeLessThanOrEqual(60 * 24)
      // The held-out windows of the first life are back.
      expect(heldOut).toHaveLength(24)
      const versions = (await announcements()).map(({ version }) => version)
      expect(versions).toEqual(versions.toSorted((a, b) => a - b))
      expect(new Set(versions).size).toBe(versions.length)
      if (draft !== 'feature-head') return
      const { closedForm, weights } = await savedHeadState(after.store)
      const expected = await plainSums(after, await readAll(source))
      expect(relativeDifference(SumBank.of(closedForm.bank).total(), expected)).toBeLessThan(1e-5)
      // Each row weighs 1 here: those of all bins together are the same.
      expect(relativeDifference(SumBank.of(weights!.sums.bank).total(), expected)).toBeLessThan(1e-5)
    },
  )

  test('tests on the newest windows before it trains on them, and a kill loses none of them', async () => {
    const all = records(teacher, 's', 100)
    await send(all.slice(0, 60))
    const first = await open({ testFirstPositions: 300 })
    await trained(first)
    const { closedFormPositions, waiting } = await savedHeadState(first.store)
    expect(waiting.length).toBeGreaterThan(5)
    const trainedOn = (await readAll(source))
      .map((record) => acceptRecord(record, expectations))
      .filter(({ purpose }) => purpose === 'training')
    expect(closedFormPositions).toBe((trainedOn.length - waiting.length) * 24)
    // The next process finds them in the log; here nothing waits, so they are trained on.
    await send(all.slice(60))
    const second = await open()
    await trained(second)
    const after = await savedHeadState(second.store)
    const expected = await plainSums(second, await readAll(source))
    expect(after.waiting).toEqual([])
    expect(relativeDifference(SumBank.of(after.closedForm.bank).total(), expected)).toBeLessThan(1e-5)
  })

  test.each(kinds)('a %s learns by gradients from kept windows only, each fresh once', async (draft) => {
    await send(records(teacher, 's', 260))
    const bench = await open({ draft, gradients: true, replayPositions: 2000 })
    const running = bench.trainer.run()
    await consumed()
    while (bench.metrics.steps.value({ result: 'applied' }) < 60) await sleep(5)
    await bench.trainer.close()
    await running
    const kept = await readAll(source).then((found) =>
      found
        .map((record) => acceptRecord(record, expectations))
        .filter(({ keep, purpose }) => keep && purpose === 'training'),
    )
    const { gradientPositions, replay } = await savedState(bench.store)
    expect(gradientPositions).toBeGreaterThan(0)
    expect(gradientPositions).toBeLessThanOrEqual(kept.length * 24)
    const places = new Set(kept.map(({ place }) => `${place.partition}/${place.offset}`))
    expect(replay.every(({ partition, offset }) => places.has(`${partition}/${offset}`))).toBe(true)
    expect(bench.metrics.loss.value({})).toBeLessThan(1)
  })

  test.each(kinds)(
    'a %s takes turns by rules under trial, on what each would have kept, and says so',
    async (draft) => {
      const rules = ['flatness(keep=0.5,stratified)', 'least-flat(keep=0.5,stratified)']
      const all = Array.from({ length: 600 }, (_, i) =>
        trainingRecord(teacher.window(`s${i}`), {
          arm: i % 10 === 9 ? Arm.ARM_EVALUATION : i % 10 === 8 ? Arm.ARM_CONTROL : Arm.ARM_SELECTED,
          keep: i % 3 !== 0,
          keptBy: [...(i % 4 === 0 ? [] : [rules[i % 2]!]), ...(i % 5 === 0 ? ['random(keep=0.5,stratified)'] : [])],
          policy: 'none',
        }),
      )
      // Twice, as a producer repeats them that was not sure.
      await send([...all.slice(0, 400), ...all])
      const learned = {
        learnPolicy: true,
        weightBins: 'off' as const,
        trialStrategies: ['flatness', 'least-flat'],
        replayPositions: 20_000,
      }
      const bench = await open({ draft, gradients: true, ...learned })
      const running = bench.trainer.run()
      await consumed()
      const turns = (): number =>
        ['none', 'random', ...rules].reduce((sum, rule) => sum + (bench.metrics.ruleTurns.value({ rule }) ?? 0), 0)
      while (turns() < 2) await sleep(5)
      await bench.trainer.close()
      await running
      const accepted = new Map(
        (await readAll(source))
          .map((record) => acceptRecord(record, expectations))
          .map((window) => [`${window.place.partition}/${window.place.offset}`, window]),
      )
      const replayed = (await savedState(bench.store)).replay.map((place) =>
        accepted.get(`${place.partition}/${place.offset}`)!,
      )
      expect(new Set(replayed.map(({ id }) => id)).size).toBe(replayed.length)
      expect(replayed.every(({ purpose, keep, keptBy }) => purpose === 'training' && (keep || keptBy.length > 0))).toBe(
        true,
      )
      expect(replayed.some(({ keep }) => !keep)).toBe(true)
      const policies = (await readAll(topics.selectionPolicy.name)).map(({ value }) => SelectionPolicy.decode(value!))
      expect(policies.at(-1)!.trials.map(({ strategy, keep }) => [strategy, keep])).toEqual([
        ['random', 0.5],
        ['flatness', 0.5],
        ['least-flat', 0.5],
      ])
      expect(policies.at(-1)).toMatchObject({
        strategy: 'none',
        evidence: expect.stringMatching(/Gradients: /) as string,
      })
    },
  )

  test('puts aside what it cannot use, with the reason, and goes on', async () => {
    const good = records(teacher, 's', 10)
    const foreign = teacher.window('foreign')
    foreign.provenance!.targetFingerprint = 'another'
    const noise = teacher.window('noise')
    noise.features.writeUInt16LE(0x7e00, 10)
    const future = teacher.window('future')
    future.provenance!.schemaVersion = 2
    const retokenized = teacher.window('retokenized')
    retokenized.provenance!.tokenizerHash = 'another'
    const wide = { ...teacher.window('wide'), vocabSize: 2 * V }
    const outside = teacher.window('outside')
    outside.tokenIds[3] = V
    const bad: NewRecord[] = [
      { ...good[0]!, key: 'garbage', value: Buffer.from([255, 255, 1]) },
      { ...good[0]!, key: 'truncated', value: good[0]!.value!.subarray(0, good[0]!.value!.length - 30) },
      { ...good[0]!, key: 'empty', value: null },
      { ...good[0]!, key: 'headless', headers: {} },
      {
        ...good[0]!,
        key: 'mistyped',
        headers: { ...good[0]!.headers, 'x-proto-message': 'plateau.stream.v1.Rollout' },
      },
      trainingRecord(future),
      trainingRecord(foreign),
      trainingRecord(retokenized),
      trainingRecord(wide),
      trainingRecord(outside),
      trainingRecord(noise),
      trainingRecord(teacher.window('unarmed'), { arm: Arm.ARM_UNSPECIFIED }),
      trainingRecord(teacher.window('odd'), { weights: [1, 2] }),
      trainingRecord(teacher.window('uneven'), { gradientWeights: [1, 2] }),
      trainingRecord(teacher.window('negative'), { gradientWeights: Array.from({ length: 24 }, () => -1) }),
      trainingRecord(teacher.window('endless'), { gradientWeights: Array.from({ length: 24 }, () => Infinity) }),
      trainingRecord({ ...teacher.window('overlapping'), draftOverlap: [0.5] }),
      trainingRecord({ ...teacher.window('square'), sumSquares: Array.from({ length: 24 }, () => Number.NaN) }),
    ]
    await send([...good.slice(0, 5), ...bad, ...good.slice(5)])
    const bench = await open()
    await trained(bench)
    const letters = await readAll(trainerDeadLetters.name)
    expect(Object.fromEntries(letters.map((letter) => [letter.key, letter.headers['x-dlq-error-class']]))).toEqual({
      garbage: 'UNDECODABLE',
      truncated: 'UNDECODABLE',
      empty: 'VALUE_MISSING',
      headless: 'HEADERS_MISSING',
      mistyped: 'MESSAGE_TYPE_UNEXPECTED',
      future: 'SCHEMA_UNKNOWN',
      retokenized: 'WINDOW_TOKENIZER_MISMATCH',
      wide: 'WINDOW_INVALID',
      outside: 'WINDOW_INVALID',
      foreign: 'WINDOW_TARGET_MISMATCH',
      noise: 'WINDOW_INVALID',
      unarmed: 'FIELD_INVALID',
      odd: 'WINDOW_INVALID',
      uneven: 'FIELD_INVALID',
      negative: 'FIELD_INVALID',
      endless: 'FIELD_INVALID',
      overlapping: 'FIELD_INVALID',
      square: 'FIELD_INVALID',
    })
    for (const letter of letters) {
      const sent = bad.find(({ key: name }) => name === letter.key)!
      expect(letter.value && Buffer.from(letter.value)).toEqual(sent.value && Buffer.from(sent.value))
      expect(letter.headers).toMatchObject({ ...sent.headers, 'x-dlq-attempts': '1', 'x-dlq-group': TRAINER_GROUP })
    }
    const { windows } = await savedState(bench.store)
    expect(Object.values(windows).reduce((a, b) => a + b)).toBe(10)
  })

  const bare = (sampleId: string): NewRecord =>
    trainingRecord({
      ...teacher.window(sampleId),
      features: Buffer.alloc(0),
      hasLead: false,
      leadFeature: Buffer.alloc(0),
    })

  test('windows without features are counted, not put aside', async () => {
    await send([bare('s0')])
    const bench = await open()
    await trained(bench)
    expect(bench.metrics.unusable.value({ reason: 'WINDOW_WITHOUT_FEATURES' })).toBe(1)
    expect(await readAll(trainerDeadLetters.name)).toEqual([])
  })

  test('a causal-lm learns from windows without features', async () => {
    await send(Array.from({ length: 40 }, (_, i) => bare(`s${i}`)))
    const bench = await open({ draft: 'causal-lm' })
    const running = bench.trainer.run()
    while (bench.metrics.steps.value({ result: 'applied' }) < 3) await sleep(5)
    await bench.trainer.close()
    await running
    expect((await savedState(bench.store)).gradientPositions).toBeGreaterThan(3 * 64)
  })

  test('a full disk and a full log delay it and stop nothing', async () => {
    let isFull = false
    const refused: string[] = []
    const unlessFull = async <T>(what: string, action: () => Promise<T>): Promise<T> => {
      if (!isFull) return action()
      refused.push(what)
      throw new PlateauError('FULL', 'no space left', { retryable: true })
    }
    const bench = await open(
      {},
      {
        store: (store) => ({
          where: store.where,
          check: (...args) => store.check(...args),
          put: (...args) => unlessFull('version', () => store.put(...args)),
          putState: (...args) => unlessFull('state', () => store.putState(...args)),
          read: (...args) => store.read(...args),
          readState: (...args) => store.readState(...args),
          versions: (...args) => store.versions(...args),
          remove: (...args) => store.remove(...args),
        }),
        producer: (producer) => ({
          send: (topic, all) => unlessFull(topic, () => producer.send(topic, all)),
          bytesInFlight: 0,
          flush: () => producer.flush(),
          close: () => producer.close(),
        }),
      },
    )
    isFull = true
    const running = bench.trainer.run()
    await send(records(teacher, 's', 80))
    while (!['version', 'state'].every((what) => refused.includes(what))) await sleep(5)
    // Last: until a dead letter is written, the loop waits with what comes after it.
    await send([{ ...records(teacher, 'x', 1)[0]!, headers: {} }])
    while (!refused.includes(trainerDeadLetters.name)) await sleep(5)
    expect(bench.line.version).toBe(1)
    isFull = false
    await consumed()
    await send(records(teacher, 't', 80))
    await consumed()
    await bench.trainer.close()
    await running
    expect(await readAll(trainerDeadLetters.name)).toHaveLength(1)
    const { windows } = await savedState(bench.store)
    expect(Object.values(windows).reduce((a, b) => a + b)).toBe(160)
    expect((await announcements()).at(-1)!.version).toBe(bench.line.version)
    expect(bench.line.version).toBeGreaterThan(1)
  })

  test('follows a shift to another domain', async () => {
    const other = new Teacher(2)
    await send(records(teacher, 'a', 120))
    await trained(await open({ halfLifePositions: 1500 }))
    await send(records(other, 'b', 160))
    const bench = await open({ halfLifePositions: 1500, evaluationPositions: 400 })
    const before = bench.line.version
    const running = bench.trainer.run()
    await consumed()
    // A solve comes at its time: the traffic goes on until there was one.
    for (let more = 0; bench.line.version === before; more++) {
      await send(records(other, `b${more}-`, 20))
      await consumed()
    }
    await bench.trainer.close()
    await running
    const fresh = Array.from({ length: 20 }, (_, i) => other.window(`fresh${i}`))
    expect(bench.line.version).toBeGreaterThan(before)
    const alphaBefore = await alphaOf(bench.store, before, fresh)
    expect(await alphaOf(bench.store, bench.line.version, fresh)).toBeGreaterThan(alphaBefore + 0.1)
  })
})

const total = ({ windows }: { readonly windows: Readonly<Record<string, number>> }): number =>
  Object.values(windows).reduce((sum, windows) => sum + windows, 0)

async function until(holds: () => boolean): Promise<void> {
  for (const giveUpAt = performance.now() + 10_000; !holds(); await sleep(5)) {
    if (performance.now() > giveUpAt) throw new Error('waited 10 s in vain')
  }
}

describe('a lineage', () => {
  const evaluation = { positions: 1, alpha: 0.5, parentAlpha: 0.1, greedyMatch: 0.5 }
  const facts = { evaluation, trainedThrough: [], trainedPositions: 7, policy: '', ...LEARNED_FROM_NOBODY }

  const metrics = declareTrainerMetrics(new MetricRegistry())
  const openLine = (
    store: CheckpointStore,
    send: Producer['send'],
    log = world.log,
    verdicts = new ServingVerdicts({ log, lineage: 'default', logger: silentLogger, metrics }),
  ) =>
    DraftLine.open(
      { lineage: 'default', keepVersions: 2, codeVersion: 'test' },
      {
        kind: headKind(teacher.model),
        log,
        verdicts,
        producer: { bytesInFlight: 0, send, flush: async () => {}, close: async () => {} },
        store,
        key,
        model: teacher.model,
        logger: silentLogger,
        clock: Date.now,
      },
    )

  test('begins with an untrained version, and a new process announces nothing twice', async () => {
    await (await open()).trainer.close()
    await (await open()).trainer.close()
    const announced = await announcements()
    expect(announced.map(({ version, parentVersion }) => [version, parentVersion])).toEqual([[1, 0]])
    expect(announced[0]!.evaluation!.alpha).toBeNaN()
  })

  test('whose last announcement was lost with its process announces that version at the next start', async () => {
    const bench = await open()
    await bench.trainer.close()
    const store = bench.store
    // As if the process had died between writing version 2 and announcing it.
    const line = await openLine(store, () => Promise.reject(new Error('killed')))
    await expect(line.publish(line.incumbent, facts)).rejects.toThrow('killed')
    expect((await announcements()).map(({ version }) => version)).toEqual([1])
    const next = await open()
    expect(next.line.version).toBe(2)
    expect((await announcements()).map(({ version, trainedPositions }) => [version, trainedPositions])).toEqual([
      [1, 0],
      [2, 7],
    ])
    await next.trainer.close()
  })

  test('starts although an announcement of its lineage cannot be decoded', async () => {
    const bench = await open()
    await bench.trainer.close()
    const producer = world.log.producer()
    const torn = { key: 'default', value: Uint8Array.of(0xff), headers: {} }
    await producer.send(topics.draftCheckpoints.name, [torn])
    await producer.close()
    const next = await open()
    expect(next.line.version).toBe(bench.line.version)
    await next.trainer.close()
  })

  test('whose old versions cannot be removed now has published all the same, and removes them after the next one', async () => {
    const { store, trainer } = await open()
    await trainer.close()
    let isAway = true
    const away = new PlateauError('STORE_UNAVAILABLE', 'away', { retryable: true })
    const unlessAway: CheckpointStore['remove'] = (...of) => (isAway ? Promise.reject(away) : store.remove(...of))
    const stubborn = new Proxy(store, {
      get: (target, name: keyof CheckpointStore) => {
        const member = name === 'remove' ? unlessAway : Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    const producer = world.log.producer()
    const line = await openLine(stubborn, (...of) => producer.send(...of))
    for (let version = 2; version <= 5; version++) expect(await line.publish(line.incumbent, facts)).toBe(version)
    expect(await store.versions('default')).toEqual([1, 2, 3, 4, 5])
    expect((await announcements()).at(-1)!.version).toBe(5)
    isAway = false
    await line.publish(line.incumbent, facts)
    expect(await store.versions('default')).toEqual([1, 5, 6])
    await producer.close()
  })

  test('keeps the version that was announced last, however many wait for the log', async () => {
    const { store, trainer } = await open()
    await trainer.close()
    const producer = world.log.producer()
    let isAway = false
    const line = await openLine(store, (topic, records) =>
      isAway
        ? Promise.reject(new PlateauError('LOG_UNAVAILABLE', 'away', { retryable: true }))
        : producer.send(topic, records),
    )
    await line.publish(line.incumbent, facts)
    isAway = true
    for (let waiting = 3; waiting <= 6; waiting++) await line.publish(line.incumbent, facts)
    expect((await announcements()).at(-1)!.version).toBe(2)
    expect(await store.versions('default')).toEqual([1, 2, 5, 6])
    isAway = false
    await line.announce()
    await line.publish(line.incumbent, facts)
    expect(await store.versions('default')).toEqual([1, 6, 7])
    // A new process knows the announced version by the log.
    isAway = true
    const next = await openLine(store, () =>
      Promise.reject(new PlateauError('LOG_UNAVAILABLE', 'away', { retryable: true })),
    )
    for (let waiting = 8; waiting <= 10; waiting++) await next.publish(next.incumbent, facts)
    expect(await store.versions('default')).toEqual([1, 7, 9, 10])
  })

  test('keeps the versions that serving holds, and all of them while the log does not say which', async () => {
    const { store, trainer } = await open()
    await trainer.close()
    let isAway = false
    const log = new Proxy(world.log, {
      get: (of, name: keyof EventLog) =>
        name === 'offsets' && isAway
          ? () => Promise.reject(new PlateauError('LOG_UNAVAILABLE', 'away', { retryable: true }))
          : (Reflect.get(of, name) as (...all: unknown[]) => unknown).bind(of),
    })
    const producer = world.log.producer()
    const line = await openLine(store, (topic, records) => producer.send(topic, records), log)
    for (let version = 2; version <= 4; version++) await line.publish(line.incumbent, facts)
    expect(await store.versions('default')).toEqual([1, 3, 4])
    await send([serving.order('LIVE', 3), serving.order('PIN', 4), serving.order('LIVE', 1, 'another')], orders)
    for (let version = 5; version <= 7; version++) await line.publish(line.incumbent, facts)
    expect(await store.versions('default')).toEqual([1, 3, 4, 6, 7])
    await send([serving.order('UNPIN', 0), serving.order('LIVE', 6)], orders)
    isAway = true
    for (let version = 8; version <= 9; version++) await line.publish(line.incumbent, facts)
    expect(await store.versions('default')).toEqual([1, 3, 4, 6, 7, 8, 9])
    isAway = false
    await line.publish(line.incumbent, facts)
    expect(await store.versions('default')).toEqual([1, 6, 9, 10])
  })

  test('is held against its newest version, and where serving has refused that, against the live one, too', async () => {
    const { store, trainer } = await open()
    await trainer.close()
    const verdicts = new ServingVerdicts({ log: world.log, lineage: 'default', logger: silentLogger, metrics })
    const producer = world.log.producer()
    const line = await openLine(store, (topic, records) => producer.send(topic, records), world.log, verdicts)
    const rivals = async () => {
      await verdicts.read(line.version)
      return (await line.rivals()).map(({ version }) => version)
    }
    for (let version = 2; version <= 3; version++) await line.publish(line.incumbent, facts)
    await send([serving.rollout(3, 'REJECTED')], topics.rollouts.name)
    // Nothing is known to be live.
    expect(await rivals()).toEqual([3])
    await send([serving.order('LIVE', 2)], orders)
    expect(await rivals()).toEqual([2, 3])
    // Promoted after all; then the next one comes, which nobody has refused yet.
    await send([serving.rollout(3, 'LIVE')], topics.rollouts.name)
    expect(await rivals()).toEqual([3])
    await line.publish(line.incumbent, facts)
    expect(await rivals()).toEqual([4])
    // What was live is out itself, and nothing has taken its place.
    await send([serving.rollout(4, 'ROLLED_BACK'), serving.rollout(2, 'ROLLED_BACK')], topics.rollouts.name)
    expect(await rivals()).toEqual([4])
    await send([serving.order('LIVE', 3)], orders)
    expect(await rivals()).toEqual([3, 4])
    // What the store does not have cannot be compared with.
    await send([serving.order('LIVE', 77)], orders)
    expect(await rivals()).toEqual([4])
  })

  test('of another target is refused with what to do', async () => {
    await (await open()).trainer.close()
    const other = { ...teacher.model, fingerprint: '0'.repeat(64) }
    await expect(openBench(world.log, join(world.directory, 'store'), other)).rejects.toMatchObject({
      code: 'CHECKPOINT_TARGET_MISMATCH',
      message: expect.stringContaining('PLATEAU_LINEAGE'),
    })
  })

  test('of another kind of draft is refused with what to do', async () => {
    await (await open()).trainer.close()
    await expect(open({ draft: 'causal-lm' })).rejects.toMatchObject({
      code: 'LINEAGE_KIND_MISMATCH',
      message: expect.stringMatching(/feature-fed-head.*PLATEAU_DRAFT.*causal-lm.*PLATEAU_LINEAGE/) as string,
    })
  })

  test('whose log was begun again takes all that is there, and no window for what another one was', async () => {
    await send(records(teacher, 's', 100))
    const first = await open()
    await trained(first)
    const counted = total(await savedState(first.store))
    await world.beginLogAgain()
    await send(records(teacher, 'n', 40))
    const next = await open()
    const running = next.trainer.run()
    await Promise.race([until(() => total(next.trainer.counts) === counted + 40), running])
    await next.trainer.close()
    expect(total(await savedState(next.store))).toBe(counted + 40)
  })

  test('is saved at the end without waiting for a log that does not answer', async () => {
    await send(records(teacher, 's', 20))
    const hanging = new Proxy(world.log, {
      get: (of, name) => (name === 'commit' ? () => new Promise(() => {}) : Reflect.get(of, name).bind(of)),
    })
    const { trainer, store, metrics } = await openBench(hanging, join(world.directory, 'store'), teacher.model, {
      snapshotMs: 3_600_000,
    })
    expect(metrics.snapshotAge.value({})).toBeGreaterThanOrEqual(0)
    const running = trainer.run()
    await until(() => total(trainer.counts) === 20)
    const ended = await Promise.race([trainer.close().then(() => 'closed'), sleep(10_000, 'hangs')])
    expect(ended).toBe('closed')
    await running
    // One that stands by has none to be late with.
    expect(metrics.snapshotAge.value({})).toBeUndefined()
    expect(total(await savedState(store))).toBe(20)
  })

  test('whose saved state is damaged is refused, not forgotten', async () => {
    await send(records(teacher, 's', 20))
    const bench = await open()
    await trained(bench)
    const state = (await bench.store.readState('default', SNAPSHOT_NAME))!
    await bench.store.putState('default', SNAPSHOT_NAME, state.subarray(0, state.length - 100), 0)
    await expect(open()).rejects.toMatchObject({ code: 'TRAINER_STATE_INVALID' })
  })
})
