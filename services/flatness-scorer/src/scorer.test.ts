import {
  Arm,
  Decision,
  deadLetterTopic,
  encodeHeaders,
  KeepRule,
  SelectionPolicy,
  TokenWindow,
  type ScoredWindow,
  topics,
  type TopicSpec,
} from '@plateau/contracts'
import { partitionOf, type BatchControl, type Consumer, type EventLog, type NewRecord } from '@plateau/event-log'
import { armOf } from '@plateau/flatness'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SCORER_GROUP, scorerDeadLetters, type ScorerOptions } from './scorer.js'
import {
  policyWith,
  recordOf,
  scoreAll,
  scorerOn,
  scorerOptions,
  TestLog,
  traffic,
  until,
  windowOf,
} from './testing.js'

let test: TestLog
beforeEach(async () => {
  test = await new TestLog().prepare()
})
afterEach(() => test.close())

const keyOf = (window: { sampleId: string; windowIndex: number }): string => `${window.sampleId}:${window.windowIndex}`

/** Empty when each window has exactly one scored and one training record, and the two say the same. */
async function violations(
  windows: readonly { sampleId: string; windowIndex: number }[],
  log = test,
): Promise<string[]> {
  const scored = await log.scored()
  const training = await log.training()
  return windows.flatMap((window) => {
    const key = keyOf(window)
    const decisions = scored.filter((s) => keyOf(s) === key)
    const uses = training.filter((t) => keyOf(t.window!) === key)
    if (decisions.length !== 1) return [`${key} has ${decisions.length} decisions`]
    if (uses.length !== 1) return [`${key} has ${uses.length} training records`]
    const said = [decisions[0]!, uses[0]!].map(
      ({ arm, decision, score, gradientWeights, keptBy }) =>
        `${arm}/${decision}/${score}/${gradientWeights.join()}/${keptBy.join()}`,
    )
    return said[0] === said[1] ? [] : [`${key} was decided ${said[0]} and used ${said[1]}`]
  })
}

describe('from log to log', () => {
  it('every window gets one decision, in the partition it came from', async () => {
    const windows = traffic(400)
    await test.publish(windows.map(recordOf))
    const metrics = await scoreAll(test)
    expect(await violations(windows)).toEqual([])
    for (const record of await test.records(topics.trainingWindows.name)) {
      expect(record.partition).toBe(partitionOf(record.key, 4))
    }
    expect(metrics.tokens.value({})).toBe(1200)
  })

  it('the kept share of the selected arm is the policy’s', async () => {
    await test.publish(traffic(1500).map(recordOf))
    await scoreAll(test, { policy: policyWith({ keep: 0.3 }) })
    const selected = (await test.scored()).filter((s) => s.arm === Arm.ARM_SELECTED && !Number.isNaN(s.threshold))
    const share = selected.filter((s) => s.decision === Decision.DECISION_KEEP).length / selected.length
    expect(Math.abs(share - 0.3)).toBeLessThan(0.05)
  })

  it('the evaluation arm is drawn by the sample’s hash and never kept; the control arm is kept whatever its score', async () => {
    await test.publish(traffic(800).map(recordOf))
    await scoreAll(test)
    const scored = await test.scored()
    const held = scored.filter((s) => s.arm === Arm.ARM_EVALUATION)
    expect(new Set(held.map((s) => s.sampleId))).toEqual(
      new Set(scored.map((s) => s.sampleId).filter((id) => armOf(id, scorerOptions.shares) === 'evaluation')),
    )
    expect(held.length).toBeGreaterThan(40)
    expect(held.every((s) => s.decision === Decision.DECISION_DROP)).toBe(true)
    const training = (await test.training()).filter((t) => t.arm === Arm.ARM_EVALUATION)
    expect(training.every((t) => t.decision === Decision.DECISION_DROP)).toBe(true)
    const control = scored.filter((s) => s.arm === Arm.ARM_CONTROL)
    const keptBelow = control.filter((s) => s.decision === Decision.DECISION_KEEP && s.score < s.threshold)
    expect(keptBelow.length).toBeGreaterThan(0)
  })

  it('weights are about 1 on average and heavier where the target is sure', async () => {
    await test.publish(traffic(600).map(recordOf))
    await scoreAll(test)
    const training = await test.training()
    const weights = training.flatMap((t) => t.weights)
    expect(weights).toHaveLength(1800)
    expect(weights.reduce((a, b) => a + b) / weights.length).toBeCloseTo(1, 1)
    const [flat, peaked] = [0, 1].map(
      (end) => training.toSorted((a, b) => (end ? a.score - b.score : b.score - a.score))[0]!,
    )
    expect(peaked!.weights[0]!).toBeGreaterThan(1.2 * flat!.weights[0]!)
  })
})

/** Windows in which every position has its own flatness, and a draft proposed at the last two. */
function mixedTraffic(n: number): TokenWindow[] {
  return traffic(n).map((window, i) => ({
    ...window,
    domain: i % 3 === 0 ? 'code' : 'chat',
    sumSquares: window.sumSquares.map((sum, j) => Math.fround(sum * (1 - 0.3 * j))),
    draftOverlap: [Number.NaN, 0.5, Math.fround((i * 0.37) % 1)],
    draftGain: [Number.NaN, 0.125, -0.0625],
    draftEntropy: [Number.NaN, 2, 1],
  }))
}

describe('a rule whose unit is the token', () => {
  const policy = policyWith({
    unit: 'token',
    keep: 0.4,
    trials: [
      { strategy: 'draft-gap', keep: 0.5 },
      { strategy: 'random', keep: 0.3 },
    ],
  })

  it('says of each position what it counts, in both records, and of each window which trials would keep it', async () => {
    const windows = mixedTraffic(400)
    await test.publish(windows.map(recordOf))
    const metrics = await scoreAll(test, { policy })
    expect(await violations(windows)).toEqual([])
    const scored = await test.scored()
    const decided = scored.filter((s) => s.arm === Arm.ARM_SELECTED && !Number.isNaN(s.threshold))
    for (const { gradientWeights, flatness, threshold, decision } of decided) {
      expect(gradientWeights).toEqual(flatness.map((f) => (f >= threshold ? 1 : 0)))
      expect(decision === Decision.DECISION_KEEP).toBe(gradientWeights.includes(1))
    }
    for (const s of scored.filter(({ decision }) => decision === Decision.DECISION_DROP)) {
      expect(s.gradientWeights).toEqual([0, 0, 0])
    }
    for (const s of scored.filter(({ arm }) => arm === Arm.ARM_EVALUATION)) expect(s.keptBy).toEqual([])
    const kept = scored.filter(({ keptBy }) => keptBy.includes('draft-gap(keep=0.5)')).length
    expect(metrics.keptByTrial.value({ rule: 'draft-gap(keep=0.5)' })).toBe(kept)
    const counted = ['keep', 'drop'].map((decision) =>
      metrics.positions.value({ arm: 'selected', domain: 'chat', decision }),
    )
    const chat = scored.filter((s) => s.arm === Arm.ARM_SELECTED && s.domain === 'chat')
    expect(counted[0]! + counted[1]!).toBe(3 * chat.length)
    expect(counted[0]! / (3 * chat.length)).toBeGreaterThan(0.25)
  })

  it('publishes what the draft did, as it was captured', async () => {
    const [window] = mixedTraffic(1)
    await test.publish([recordOf(window!)])
    await scoreAll(test, { policy })
    const [{ draftGain, draftEntropy, tokenLogProb }] = (await test.scored()) as [ScoredWindow]
    expect({ draftGain, draftEntropy, tokenLogProb }).toEqual({
      draftGain: window!.draftGain,
      draftEntropy: window!.draftEntropy,
      tokenLogProb: window!.tokenLogProb,
    })
  })

  it('is repeated to the letter after a crash, also by a scorer that follows another policy by then', async () => {
    const windows = mixedTraffic(300)
    await test.publish(windows.map(recordOf))
    await runUntilKilled(dyingLog(test.log, 'scored', 4), { policy })
    const before = new Map((await test.scored()).map((s) => [keyOf(s), s]))
    expect([...before.values()].some(({ keptBy }) => keptBy.length > 0)).toBe(true)
    await scoreAll(test, { policy: policyWith({ strategy: 'none' }) })
    expect(await violations(windows)).toEqual([])
    const ofTorn = (await test.training()).filter((t) => before.has(keyOf(t.window!)))
    expect(ofTorn).toHaveLength(before.size)
    for (const { window, gradientWeights, keptBy, policy: name } of ofTorn) {
      expect({ gradientWeights, keptBy, policy: name }).toMatchObject(
        pick(before.get(keyOf(window!))!, 'gradientWeights', 'keptBy', 'policy'),
      )
    }
  })
})

function pick<T, K extends keyof T>(from: T, ...names: K[]): Pick<T, K> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Pick<T, K>
}

describe('weighted sampling', () => {
  it('counts what is kept by the inverse of its probability: 1 a position over all', async () => {
    const windows = mixedTraffic(2000)
    await test.publish(windows.map(recordOf))
    await scoreAll(test, { policy: policyWith({ sampling: 'weighted' }) })
    expect(await violations(windows)).toEqual([])
    const counted = (await test.training()).filter((t) => t.arm !== Arm.ARM_EVALUATION && t.gradientWeights.length > 0)
    const weights = counted.flatMap((t) => t.gradientWeights)
    // 1,700 windows of three equal weights, whose variance is at most 4/keep - 1 = 7: .2 is 3 standard errors.
    expect(Math.abs(weights.reduce((sum, w) => sum + w, 0) / weights.length - 1)).toBeLessThan(0.2)
  })
})

describe('arms and partitions', () => {
  it('have nothing to do with each other: every partition holds every arm in its share', () => {
    const ids = Array.from({ length: 40_000 }, (_, i) => `sample-${i}`)
    for (let partition = 0; partition < 4; partition++) {
      const mine = ids.filter((id) => partitionOf(id, 4) === partition)
      const held = mine.filter((id) => armOf(id, { evaluation: 0.05, control: 0.05 }) === 'evaluation').length
      expect(Math.abs(held / mine.length - 0.05)).toBeLessThan(0.011)
    }
  })
})

/** A log whose process dies at a chosen step: what was sent before is durable, the rest never happens. */
function dyingLog(log: EventLog, dieAfter: 'dead-letters' | 'scored' | 'training', batches: number): EventLog {
  const fatal = {
    'dead-letters': scorerDeadLetters.name,
    scored: topics.scoredTokens.name,
    training: topics.trainingWindows.name,
  }[dieAfter]
  let left = batches
  return new Proxy(log, {
    get(target, name) {
      if (name !== 'producer') return Reflect.get(target, name).bind(target)
      return () => {
        const producer = target.producer()
        const send = async (topic: string, records: readonly NewRecord[]) => {
          if (left < 0) throw new Error('already dead')
          const appended = await producer.send(topic, records)
          if (topic === fatal && left-- === 0) throw new Error('killed')
          return appended
        }
        return { send, bytesInFlight: 0, flush: () => producer.flush(), close: () => producer.close() }
      }
    },
  })
}

/** A scorer whose batches the test hands over, each under the assignment that it says. */
async function fedByHand(log: EventLog) {
  const handler = Promise.withResolvers<Parameters<Consumer['run']>[0]>()
  const closed = Promise.withResolvers<void>()
  const consumer: Consumer = {
    run: (given) => (handler.resolve(given), closed.promise),
    pause: () => {},
    resume: () => {},
    assigned: [],
    close: async () => closed.resolve(),
  }
  const fed = new Proxy(log, {
    get: (target, name) => (name === 'consumer' ? () => consumer : Reflect.get(target, name).bind(target)),
  })
  const { scorer } = scorerOn(fed)
  const run = scorer.run()
  return { handle: await handler.promise, close: () => Promise.all([scorer.close(20_000), run]) }
}

async function runUntilKilled(log: EventLog, options: Partial<ScorerOptions> = {}): Promise<void> {
  const { scorer } = scorerOn(log, options)
  await expect(scorer.run()).rejects.toThrow(/killed|already dead/)
  await scorer.close(20_000)
}

describe('a crash', () => {
  const poison = (i: number): NewRecord => ({ ...recordOf(windowOf(`bad${i}`)), value: Buffer.from('poison') })

  for (const step of ['dead-letters', 'scored', 'training'] as const) {
    for (const batches of [0, 5]) {
      it(`after ${step} of batch ${batches + 1}, before the next step, loses nothing and decides nothing twice`, async () => {
        const windows = traffic(600)
        // Poison all along, so that every batch has a dead letter.
        await test.publish(windows.flatMap((window, i) => [recordOf(window), ...(i % 4 === 0 ? [poison(i)] : [])]))
        await runUntilKilled(dyingLog(test.log, step, batches))
        const before = await test.scored()
        await scoreAll(test)
        expect(await violations(windows)).toEqual([])
        const after = new Map((await test.scored()).map((s) => [keyOf(s), s]))
        for (const scored of before) expect(after.get(keyOf(scored))).toEqual(scored)
        const dead = new Set((await test.deadLetters()).map((record) => record.key))
        expect(dead.size).toBe(150)
      })
    }
  }

  it('in a row, at every step, still leaves one decision each', async () => {
    const windows = traffic(500)
    await test.publish(windows.map(recordOf))
    for (const step of ['scored', 'training', 'scored', 'scored', 'training'] as const) {
      await runUntilKilled(dyingLog(test.log, step, 1))
    }
    await scoreAll(test)
    expect(await violations(windows)).toEqual([])
  })

  it('is made good, too, where the output topics have other partition counts than the source', async () => {
    const uneven = [
      { ...topics.scoredTokens, partitions: 3 },
      { ...topics.trainingWindows, partitions: 2 },
    ]
    const log = await new TestLog().prepare(...(uneven as TopicSpec[]))
    const windows = traffic(400)
    await log.publish(windows.map(recordOf))
    for (const step of ['scored', 'training', 'scored'] as const) await runUntilKilled(dyingLog(log.log, step, 1))
    await scoreAll(log)
    expect(await violations(windows, log)).toEqual([])
    await log.close()
  })

  it('does not move the threshold: what follows is decided as without it', async () => {
    // One partition's order, one window a batch: the crash falls between known windows.
    const windows = traffic(200).map((w) => ({ ...w, sampleId: 'one', windowIndex: Number(w.sampleId.slice(1)) }))
    const unbroken = await new TestLog().prepare()
    await unbroken.publish(windows.map(recordOf))
    await scoreAll(unbroken)
    await test.publish(windows.map(recordOf))
    await runUntilKilled(dyingLog(test.log, 'scored', 3))
    await runUntilKilled(dyingLog(test.log, 'training', 0))
    await scoreAll(test)
    const verdicts = async (log: TestLog) =>
      (await log.scored()).map((s) => [s.windowIndex, s.score, s.threshold, s.decision])
    expect(await verdicts(test)).toEqual(await verdicts(unbroken))
    await unbroken.close()
  })
})

describe('redelivery', () => {
  it('of everything, by an operator who moved the group back, changes nothing', async () => {
    const windows = traffic(700)
    await test.publish(windows.map(recordOf))
    await scoreAll(test)
    const before = [await test.scored(), await test.training()]
    const rewound = [0, 1, 2, 3].map((partition) => ({ partition, offset: 0 }))
    await test.log.commit(SCORER_GROUP, topics.tokenDistributions.name, rewound)
    const metrics = await scoreAll(test)
    expect([await test.scored(), await test.training()]).toEqual(before)
    expect(metrics.redelivered.value({})).toBe(700)
  })

  it('of a window that its producer sent twice changes nothing', async () => {
    const windows = traffic(50)
    await test.publish([...windows, ...windows.slice(0, 20)].map(recordOf))
    await test.publish(windows.slice(10, 30).map(recordOf))
    await scoreAll(test)
    expect(await violations(windows)).toEqual([])
  })
})

describe('several members', () => {
  it('share the partitions and still decide every window once, also when one leaves', async () => {
    const windows = traffic(600)
    await test.publish(windows.slice(0, 300).map(recordOf))
    const first = scorerOn(test.log)
    const second = scorerOn(test.log)
    const runs = [first.scorer.run(), second.scorer.run()]
    await test.publish(windows.slice(300, 450).map(recordOf))
    await until(async () => (await test.lag()) < 200)
    await first.scorer.close(20_000)
    await test.publish(windows.slice(450).map(recordOf))
    await until(async () => (await test.lag()) === 0)
    await second.scorer.close(20_000)
    await Promise.all(runs)
    expect(await violations(windows)).toEqual([])
  })

  it('come and go under load: one decision a window, and the whole keeps the policy’s share', async () => {
    const windows = traffic(2400)
    const policy = policyWith({ keep: 0.3 })
    // Each has the log open for itself, as a process of its own would.
    const logs = [0, 1, 2].map(() => openEmbeddedEventLog(test.directory))
    const members = logs.map((log) => scorerOn(log, { policy }).scorer)
    const runs: Promise<void>[] = []
    for (const [part, member] of members.entries()) {
      runs.push(member.run())
      await test.publish(windows.slice(part * 600, (part + 1) * 600).map(recordOf))
      await until(async () => (await test.lag()) < 400)
    }
    await members[0]!.close(20_000)
    await test.publish(windows.slice(1800).map(recordOf))
    await until(async () => (await test.lag()) < 400)
    await members[1]!.close(20_000)
    await until(async () => (await test.lag()) === 0)
    await members[2]!.close(20_000)
    await Promise.all(runs)
    await Promise.all(logs.map((log) => log.close()))
    expect(await violations(windows)).toEqual([])
    const selected = (await test.scored()).filter((s) => s.arm === Arm.ARM_SELECTED && !Number.isNaN(s.threshold))
    const share = selected.filter((s) => s.decision === Decision.DECISION_KEEP).length / selected.length
    expect(Math.abs(share - 0.3)).toBeLessThan(0.05)
  })

  it('one that gets a partition back finds what was decided meanwhile, also at the offset where it stood', async () => {
    // One partition.
    const windows = traffic(64).map((w) => ({ ...w, sampleId: 'one', windowIndex: Number(w.sampleId.slice(1)) }))
    await test.publish(windows.map(recordOf))
    const records = await test.records(topics.tokenDistributions.name)
    const { topic, partition } = records[0]!
    const batch = (from: number, to: number) => ({
      topic,
      partition,
      records: records.slice(from, to),
      highWatermark: 64,
    })
    const assignment = (commit: BatchControl['commit'] = async () => {}): BatchControl => ({
      signal: new AbortController().signal,
      commit,
    })
    const stays = await fedByHand(test.log)
    await stays.handle(batch(0, 32), assignment())
    const killed = await fedByHand(test.log)
    const dies = () => Promise.reject(new Error('killed'))
    await expect(killed.handle(batch(32, 64), assignment(dies))).rejects.toThrow('killed')
    await stays.handle(batch(32, 64), assignment())
    await stays.close()
    await killed.close()
    expect(await violations(windows)).toEqual([])
  })

  it('one that is killed in the middle of its batches leaves nothing undecided', async () => {
    const windows = traffic(900)
    await test.publish(windows.map(recordOf))
    const killed = runUntilKilled(dyingLog(test.log, 'scored', 4))
    const other = scorerOn(test.log).scorer
    const run = other.run()
    await Promise.all([killed, until(async () => (await test.lag()) === 0)])
    await other.close(20_000)
    await run
    expect(await violations(windows)).toEqual([])
  })
})

describe('poison', () => {
  const renamed = (value: Uint8Array, sampleId: string): Uint8Array =>
    TokenWindow.encode({ ...TokenWindow.decode(value), sampleId }).finish()

  it('goes to the dead-letter topic untouched, with the reason, and hurts no other record', async () => {
    const windows = traffic(60)
    const good = recordOf(windowOf('x'))
    const { provenance } = windowOf('x')
    const kinds: readonly (readonly [string, Partial<NewRecord>])[] = [
      ['UNDECODABLE', { value: Buffer.from('garbage') }],
      ['UNDECODABLE', { value: good.value!.subarray(0, good.value!.length - 20) }],
      ['HEADERS_MISSING', { headers: {} }],
      ['MESSAGE_TYPE_UNEXPECTED', { headers: { ...good.headers, 'x-proto-message': topics.acceptance.messageType } }],
      ['SCHEMA_UNKNOWN', recordOf({ ...windowOf('x'), provenance: { ...provenance!, schemaVersion: 2 } })],
      ['TOKEN_OUT_OF_RANGE', recordOf({ ...windowOf('x'), tokenIds: [1, 2, 64] })],
      ['LENGTH_MISMATCH', recordOf({ ...windowOf('x'), tailMass: [0.1] })],
      ['TOO_LARGE', recordOf({ ...windowOf('x'), tenant: 'x'.repeat(1024 * 1024 - 400) })],
      ['VALUE_MISSING', { value: null }],
    ]
    const bad = kinds.map(([, change], i) => ({ ...good, ...change, key: `${i}` }))
    // What decodes must be of the sample that its key says, or that would be the reason.
    for (const record of bad.slice(4, 8)) record.value = renamed(record.value!, record.key)
    await test.publish([...windows.slice(0, 30).map(recordOf), ...bad, ...windows.slice(30).map(recordOf)])
    const metrics = await scoreAll(test)
    expect(await violations(windows)).toEqual([])
    const dead = (await test.deadLetters()).toSorted((x, y) => x.key.localeCompare(y.key))
    expect(dead.map((r) => r.headers['x-dlq-error-class'])).toEqual(kinds.map(([code]) => code))
    for (const [i, record] of dead.entries()) {
      expect(record.value && Buffer.from(record.value)).toEqual(bad[i]!.value && Buffer.from(bad[i]!.value))
      expect(record.headers).toMatchObject(bad[i]!.headers)
      expect(record.headers['x-dlq-original-topic']).toBe(topics.tokenDistributions.name)
      expect(record.headers['x-dlq-group']).toBe(SCORER_GROUP)
      expect(record.headers['x-dlq-attempts']).toBe('1')
    }
    expect(metrics.deadLettered.value({ reason: 'UNDECODABLE' })).toBe(2)
    expect(scorerDeadLetters).toEqual(deadLetterTopic(topics.tokenDistributions, SCORER_GROUP))
  })
})

describe('the selection policy', () => {
  function policyRecord(change: Partial<SelectionPolicy>, lineage = 'default'): NewRecord {
    const policy = { schemaVersion: 1, lineage, strategy: 'none', keep: 0.5, closedFormWeight: 'uniform', ...change }
    return {
      key: lineage,
      value: SelectionPolicy.encode(SelectionPolicy.fromPartial(policy)).finish(),
      headers: encodeHeaders({ id: 'p', source: '/t', type: topics.selectionPolicy.messageType, timeMs: 0 }),
    }
  }
  const publishPolicy = (...records: NewRecord[]): Promise<void> => test.publish(records, topics.selectionPolicy.name)

  it('in the topic overrides the configured one from the first window on', async () => {
    await publishPolicy(policyRecord({}), policyRecord({ strategy: 'random' }, 'another lineage'))
    await test.publish(traffic(50).map(recordOf))
    await scoreAll(test)
    expect(new Set((await test.scored()).map((s) => s.policy))).toEqual(new Set(['none']))
    expect((await test.training()).flatMap((t) => t.weights).every((w) => w === 1)).toBe(true)
  })

  it('in the topic is taken whole: unit, budget, strata, sampling, trials and bin weights', async () => {
    const edges = { effectiveTokens: [1.05, 4], draftGap: [] }
    await publishPolicy(
      policyRecord({
        strategy: 'flatness',
        keep: 0.25,
        unit: 'sample',
        budget: 'tokens',
        stratified: true,
        sampling: 'weighted',
        closedFormWeight: 'binned',
        binWeights: { ...edges, weights: [0.5, 1.25, 20] },
        trials: [{ strategy: 'random', keep: 0.5, unit: '', budget: '', stratified: false, sampling: '' }],
      }),
    )
    const windows = mixedTraffic(120)
    await test.publish(windows.map(recordOf))
    await scoreAll(test)
    const name = 'flatness(keep=0.25,unit=sample,budget=tokens,stratified,sampling=weighted)'
    const scored = await test.scored()
    expect(new Set(scored.map((s) => s.policy))).toEqual(new Set([name]))
    expect(new Set(scored.flatMap((s) => s.keptBy))).toEqual(new Set(['random(keep=0.5)']))
    for (const { window, weights } of await test.training()) {
      const effective = window!.sumSquares.map((sum) => 1 / sum)
      expect(weights).toEqual(effective.map((n) => (n < 1.05 ? 0.5 : n < 4 ? 1.25 : 8)))
    }
  })

  it('changes while windows flow, and falls back to the configured one when it is removed', async () => {
    const { scorer, metrics } = scorerOn(test.log)
    const run = scorer.run()
    const applied = (n: number): Promise<void> => until(() => metrics.policyUpdates.value({ result: 'applied' }) === n)
    const score = async (prefix: string): Promise<string[]> => {
      await test.publish(traffic(20, prefix).map(recordOf))
      await until(async () => (await test.lag()) === 0)
      const mine = (await test.scored()).filter((s) => s.sampleId.startsWith(prefix))
      return [...new Set(mine.map((s) => s.policy))]
    }
    expect(await score('a')).toEqual(['flatness(keep=0.5)'])
    await publishPolicy(policyRecord({ strategy: 'entropy', keep: 0.25 }))
    await applied(1)
    expect(await score('b')).toEqual(['entropy(keep=0.25)'])
    await publishPolicy({ ...policyRecord({}), value: null })
    await applied(2)
    expect(await score('c')).toEqual(['flatness(keep=0.5)'])
    await scorer.close(20_000)
    await run
  })

  it('that is invalid is refused and counted; the one before it stays', async () => {
    const { scorer, metrics } = scorerOn(test.log)
    const run = scorer.run()
    await publishPolicy(policyRecord({ strategy: 'top1' }))
    await publishPolicy(policyRecord({ strategy: 'flattest' }))
    await publishPolicy(policyRecord({ keep: 0 }))
    await publishPolicy(policyRecord({ closedFormWeight: 'heavy' }))
    await publishPolicy(policyRecord({ unit: 'word' }), policyRecord({ budget: 'bytes' }))
    await publishPolicy(policyRecord({ sampling: 'best' }), policyRecord({ closedFormWeight: 'binned' }))
    await publishPolicy(policyRecord({ trials: [KeepRule.fromPartial({ strategy: 'flattest', keep: 0.5 })] }))
    await publishPolicy(policyRecord({ schemaVersion: 7 }))
    await publishPolicy({ ...policyRecord({}), value: Buffer.from('garbage') })
    await until(() => metrics.policyUpdates.value({ result: 'refused' }) === 10)
    await test.publish(traffic(10).map(recordOf))
    await until(async () => (await test.lag()) === 0)
    expect(new Set((await test.scored()).map((s) => s.policy))).toEqual(new Set(['top1(keep=0.5)']))
    await scorer.close(20_000)
    await run
  })
})

describe('shutdown', () => {
  it('finishes the batch in hand: what was scored is committed, the rest is left for the next', async () => {
    const windows = traffic(2000)
    await test.publish(windows.map(recordOf))
    const { scorer } = scorerOn(test.log)
    const run = scorer.run()
    await until(async () => (await test.lag()) < 1900)
    await scorer.close(20_000)
    await run
    const scored = await test.scored()
    expect(await test.lag()).toBe(2000 - scored.length)
    expect(scored.length).toBeLessThan(2000)
    expect((await test.training()).length).toBe(scored.length)
    await scoreAll(test)
    expect(await violations(windows)).toEqual([])
  })

  it('does not wait for a log that does not answer: the batch comes again', async () => {
    const windows = traffic(100)
    await test.publish(windows.map(recordOf))
    const asked = Promise.withResolvers<void>()
    const hanging = new Proxy(test.log, {
      get(target, name) {
        if (name !== 'producer') return Reflect.get(target, name).bind(target)
        const send = () => (asked.resolve(), new Promise(() => {}))
        return () => ({
          send,
          bytesInFlight: 0,
          flush: () => new Promise(() => {}),
          close: () => new Promise(() => {}),
        })
      },
    })
    const { scorer } = scorerOn(hanging)
    const run = scorer.run()
    await asked.promise
    await scorer.close(10)
    await run
    expect(await test.lag()).toBe(100)
    await scoreAll(test)
    expect(await violations(windows)).toEqual([])
  })
})
