import { expect } from 'vitest'
import { expectCode, type Fact, text, topicSpec } from './harness.js'

export function topicFacts(fact: Fact): void {
  fact('ensureTopics may be repeated, also by several processes at once', async (world) => {
    const { log } = world
    const other = await world.another()
    const specs = ['a', 'b', 'c'].map((kind) => topicSpec(world.name(kind)))
    await Promise.all([log.ensureTopics(specs), other.ensureTopics(specs), log.ensureTopics(specs)])
    await other.ensureTopics(specs)
    for (const spec of specs) expect(await other.offsets(spec.name)).toHaveLength(spec.partitions)
  })

  fact('a topic that exists with other partitions or cleanup is refused and left as it is', async (world) => {
    const { log } = world
    const topic = await world.topic()
    await expectCode(log.ensureTopics([topicSpec(topic, { partitions: 4 })]), 'TOPIC_MISMATCH')
    await expectCode(log.ensureTopics([topicSpec(topic, { cleanup: 'compact' })]), 'TOPIC_MISMATCH')
    expect(await log.offsets(topic)).toHaveLength(3)
  })

  fact('a refusal names every setting that cannot be used, and what it should be', async (world) => {
    const topic = await world.topic()
    const declared = topicSpec(topic, { partitions: 4, cleanup: 'compact' })
    const { message } = await expectCode(world.log.ensureTopics([declared]), 'TOPIC_MISMATCH')
    for (const word of [topic, 'partitions', '4', '3', 'cleanup.policy', 'compact', 'delete']) {
      expect(message).toContain(word)
    }
  })

  fact('topics that are as declared do not differ', async (world) => {
    const specs = ['one', 'two'].map((kind) => topicSpec(world.name(kind), { retentionMs: 3_600_000 }))
    await world.log.ensureTopics(specs)
    expect(await (await world.another()).compareTopics(specs)).toEqual([])
  })

  fact('a missing topic is told as missing, and comparing creates nothing', async (world) => {
    const spec = topicSpec(world.name('missing'))
    const [difference, ...others] = await world.log.compareTopics([spec])
    expect(difference).toMatchObject({ topic: spec.name, setting: 'topic', actual: undefined, kind: 'missing' })
    expect(others).toEqual([])
    await expectCode(world.log.offsets(spec.name), 'UNKNOWN_TOPIC')
  })

  fact('what an operator may tune is told apart from what cannot be used', async (world) => {
    const topic = await world.topic()
    const declared = topicSpec(topic, { partitions: 4, cleanup: 'compact', retentionMs: 3_600_000 })
    const differences = await world.log.compareTopics([declared])
    expect(differences.toSorted((a, b) => a.setting.localeCompare(b.setting))).toEqual([
      { topic, setting: 'cleanup.policy', declared: 'compact', actual: 'delete', kind: 'incompatible' },
      { topic, setting: 'partitions', declared: '4', actual: '3', kind: 'incompatible' },
      { topic, setting: 'retention.ms', declared: '3600000', actual: '-1', kind: 'tunable' },
    ])
  })

  fact('ensureTopics leaves what an operator tuned as it is', async (world) => {
    const topic = await world.topic({ retentionMs: 7_200_000 })
    const declared = topicSpec(topic, { retentionMs: 3_600_000 })
    await world.log.ensureTopics([declared])
    const [difference] = await world.log.compareTopics([declared])
    expect(difference).toMatchObject({ setting: 'retention.ms', actual: '7200000' })
  })

  fact('applyTopics creates and sets, says what it found, and then finds nothing', async (world) => {
    const missing = topicSpec(world.name('missing'))
    const tuned = topicSpec(await world.topic(), { retentionMs: 3_600_000 })
    await world.append(tuned.name, [text('a', 'kept')])
    const found = await world.log.applyTopics([missing, tuned])
    expect(found.map(({ topic, kind }) => [topic, kind])).toEqual([
      [missing.name, 'missing'],
      [tuned.name, 'tunable'],
    ])
    const other = await world.another()
    await world.until('as declared', async () => (await other.compareTopics([missing, tuned])).length === 0)
    expect(await world.log.applyTopics([missing, tuned])).toEqual([])
    expect(await other.offsets(missing.name)).toHaveLength(missing.partitions)
    expect(await world.readAll(tuned.name)).toHaveLength(1)
  })

  fact('applyTopics never changes what cannot be used', async (world) => {
    const topic = await world.topic()
    const declared = topicSpec(topic, { partitions: 4, cleanup: 'compact' })
    const missing = topicSpec(world.name('missing'))
    const found = await world.log.applyTopics([declared, missing])
    expect(found.map(({ kind }) => kind).toSorted()).toEqual(['incompatible', 'incompatible', 'missing'])
    expect(await world.log.offsets(topic)).toHaveLength(3)
    expect(await world.log.compareTopics([declared, missing])).toHaveLength(2)
  })

  fact('a topic created by one process is there for all', async (world) => {
    const other = await world.another()
    const topic = await world.topic()
    await other.producer().send(topic, [text('a', '1')])
    expect(await world.readAll(topic)).toHaveLength(1)
  })

  fact('an unknown topic is refused by name, wherever it is used', async (world) => {
    const { log } = world
    const topic = world.name('missing')
    await expectCode(log.producer().send(topic, [text('a', '1')]), 'UNKNOWN_TOPIC')
    await expectCode(log.offsets(topic), 'UNKNOWN_TOPIC')
    await expectCode(log.committed('group', topic), 'UNKNOWN_TOPIC')
    await expectCode(log.commit('group', topic, [{ partition: 0, offset: 0 }]), 'UNKNOWN_TOPIC')
    await expectCode(
      log.consumer({ group: 'group', topics: [topic] }).run(async () => {}),
      'UNKNOWN_TOPIC',
    )
    const reader = log.reader({ topic, from: 'earliest' })
    await expectCode(reader.caughtUp, 'UNKNOWN_TOPIC')
    await expectCode(reader[Symbol.asyncIterator]().next(), 'UNKNOWN_TOPIC')
  })
}
