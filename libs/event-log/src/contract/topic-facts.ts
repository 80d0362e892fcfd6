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

  fact('retention may change', async (world) => {
    const topic = await world.topic()
    await world.log.ensureTopics([topicSpec(topic, { retentionMs: 3_600_000 })])
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
