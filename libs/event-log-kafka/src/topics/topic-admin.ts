import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError, type TopicSpec } from '@plateau/contracts'
import type { TopicDifference } from '@plateau/event-log'
import type { KafkaConnection } from '../connection.js'
import { errorOfCode, isOfType } from '../kafkajs/protocol-errors.js'
import type { MetadataAnswer, Node } from '../kafkajs/requests.js'
import { changeConfigs, readConfigs } from './topic-configs.js'
import { copiesOf, creationConfig, type FoundTopic, REPLICATION_FACTOR, topicDifferences } from './topic-settings.js'

const UNKNOWN_TOPIC_OR_PARTITION = 3
/** The brokers learn of a new topic one after the other. */
const CREATION_TIMEOUT_MS = 30_000

export async function ensureTopics(connection: KafkaConnection, specs: readonly TopicSpec[]): Promise<void> {
  const differences = await compareTopics(connection, specs)
  const incompatible = differences.filter(({ kind }) => kind === 'incompatible')
  if (incompatible.length > 0) throw mismatch(incompatible)
  const missing = specs.filter(({ name }) =>
    differences.some(({ topic, kind }) => topic === name && kind === 'missing'),
  )
  if (missing.length === 0) return
  if (!connection.settings.createTopics) throw missingTopics(missing)
  await createTopics(connection, missing)
  // Another process may have created one of them at the same moment, from another declaration.
  const after = await compareTopics(connection, missing)
  const other = after.filter(({ kind }) => kind === 'incompatible')
  if (other.length > 0) throw mismatch(other)
}

export async function compareTopics(
  connection: KafkaConnection,
  specs: readonly TopicSpec[],
): Promise<TopicDifference[]> {
  for (const spec of specs) connection.topics.declare(spec)
  const found = await findTopics(
    connection,
    specs.map(({ name }) => name),
  )
  return specs.flatMap((spec) => {
    const topic = found.get(spec.name)
    const differences = topicDifferences(spec, topic, connection.settings)
    const isUsable = !differences.some(({ kind }) => kind === 'incompatible')
    if (topic !== undefined && isUsable) connection.topics.learn(spec, topic)
    return differences
  })
}

export async function applyTopics(
  connection: KafkaConnection,
  specs: readonly TopicSpec[],
): Promise<TopicDifference[]> {
  const differences = await compareTopics(connection, specs)
  const of = (spec: TopicSpec, kind: TopicDifference['kind']) =>
    differences.filter((difference) => difference.topic === spec.name && difference.kind === kind)
  const missing = specs.filter((spec) => of(spec, 'missing').length > 0)
  if (missing.length > 0) await createTopics(connection, missing)
  for (const spec of specs) {
    const tunable = of(spec, 'tunable')
    // A topic that cannot do what it is for is left to a person, as it is.
    if (tunable.length > 0 && of(spec, 'incompatible').length === 0) await tune(connection, spec.name, tunable)
  }
  return differences
}

async function findTopics(connection: KafkaConnection, names: readonly string[]): Promise<Map<string, FoundTopic>> {
  const found = new Map<string, FoundTopic>()
  for (const name of names) {
    const topic = await findTopic(connection, name)
    if (topic !== undefined) found.set(name, topic)
  }
  return found
}

async function findTopic(connection: KafkaConnection, topic: string): Promise<FoundTopic | undefined> {
  try {
    const partitions = await connection.persist({ doing: 'ask for', topic, needs: 'Describe' }, async () =>
      partitionsIn(await connection.cluster.metadata([topic]), topic),
    )
    if (partitions.length === 0) return undefined
    const config = await connection.persist({ doing: 'read the settings of', topic, needs: 'DescribeConfigs' }, () =>
      readConfigs(connection.cluster, topic),
    )
    return { partitions: partitions.length, replication: Math.min(...partitions.map((p) => p.replicas.length)), config }
  } catch (thrown) {
    if (thrown instanceof PlateauError && thrown.code === 'UNKNOWN_TOPIC') return undefined
    throw thrown
  }
}

async function createTopics(connection: KafkaConnection, specs: readonly TopicSpec[]): Promise<void> {
  for (const spec of specs) {
    await connection.persist({ doing: 'create', topic: spec.name, needs: 'Create' }, () =>
      createTopic(connection, spec),
    )
  }
  await Promise.all(specs.map((spec) => known(connection, spec)))
}

async function createTopic({ cluster, settings }: KafkaConnection, spec: TopicSpec): Promise<void> {
  const config = creationConfig(spec, settings)
  const topic = {
    topic: spec.name,
    numPartitions: spec.partitions,
    replicationFactor: copiesOf(spec, settings).replication,
    configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
  }
  try {
    const timeout = settings.timing.requestTimeoutMs
    await cluster.ask(await cluster.controller(), 'CreateTopics', { topics: [topic], timeout, validateOnly: false })
  } catch (thrown) {
    if (!isAlreadyThere(thrown)) throw thrown
  }
}

/** Waits until every node knows the topic and its leaders: the next question may go to another node than the last. */
async function known(connection: KafkaConnection, { name: topic, partitions }: TopicSpec): Promise<void> {
  const { cluster, settings } = connection
  const giveUpAtMs = performance.now() + CREATION_TIMEOUT_MS
  const knowsLeaders = async (node: Node): Promise<boolean> => {
    const leaders = partitionsIn(await cluster.ask(node, 'Metadata', { topics: [topic] }, { withErrors: true }), topic)
    return leaders.length === partitions && leaders.every(({ leader }) => leader >= 0)
  }
  for (;;) {
    const all = await connection.persist({ doing: 'learn who leads', topic, needs: 'Describe' }, async () => {
      const { brokers } = await cluster.metadata([])
      return (await Promise.all(brokers.map(knowsLeaders))).every(Boolean)
    })
    if (all) return
    if (performance.now() > giveUpAtMs) {
      throw new PlateauError(
        'LOG_UNAVAILABLE',
        `Topic ${topic} was created, but not all of its partitions got a leader.`,
        {
          facts: { topic },
          retryable: true,
        },
      )
    }
    await sleep(settings.timing.retryMs)
  }
}

async function tune(connection: KafkaConnection, topic: string, tunable: readonly TopicDifference[]): Promise<void> {
  const settable = tunable.filter(({ setting }) => setting !== REPLICATION_FACTOR)
  for (const { setting, declared, actual } of tunable) {
    if (setting !== REPLICATION_FACTOR) continue
    connection.settings.onLog({
      level: 'warn',
      message: 'a topic has fewer copies than declared: an operator adds them, with kafka-reassign-partitions',
      fields: { topic, declared, actual },
    })
  }
  if (settable.length === 0) return
  const changes = new Map(settable.map(({ setting, declared }) => [setting, declared]))
  await connection.persist({ doing: 'change the settings of', topic, needs: 'AlterConfigs' }, () =>
    changeConfigs(connection.cluster, topic, changes),
  )
}

function partitionsIn({ topicMetadata }: MetadataAnswer, topic: string) {
  const found = topicMetadata.find((candidate) => candidate.topic === topic)
  if (found === undefined || found.topicErrorCode === UNKNOWN_TOPIC_OR_PARTITION) return []
  if (found.topicErrorCode !== 0) throw errorOfCode(found.topicErrorCode)
  return found.partitionMetadata
}

/** kafkajs collects the errors of a creation, one for each topic. */
function isAlreadyThere(thrown: unknown): boolean {
  const errors: unknown = thrown instanceof Error && 'errors' in thrown ? thrown.errors : [thrown]
  return Array.isArray(errors) && errors.every((error) => isOfType(error, 'TOPIC_ALREADY_EXISTS'))
}

function mismatch(differences: readonly TopicDifference[]): PlateauError {
  const list = differences.map(
    ({ topic, setting, declared, actual }) => `${topic}: ${setting} is ${actual}, declared is ${declared}`,
  )
  return new PlateauError('TOPIC_MISMATCH', `Topics cannot do what they are declared for. ${list.join('; ')}.`, {
    facts: { topic: differences[0]?.topic, setting: differences[0]?.setting, differences: differences.length },
  })
}

function missingTopics(specs: readonly TopicSpec[]): PlateauError {
  const names = specs.map(({ name }) => name).join(', ')
  return new PlateauError('UNKNOWN_TOPIC', `There is no topic ${names}: run \`plateau topics apply\`.`, {
    facts: { topic: names },
  })
}
