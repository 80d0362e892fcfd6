import { topics } from '@plateau/contracts'
import { runKafkaTool } from '@plateau/kafka-dev'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from '../scenario.js'
import type { Stage } from '../stage.js'

/** What happens to one of three brokers: replication factor 3, two in-sync replicas needed. */
export const clusterScenarios: readonly Scenario[] = [
  {
    name: 'one-of-three-kill9',
    summary: 'kill -9 of one of three brokers, and its return',
    topology: 'three brokers',
    short: false,
    run: async ({ brokers }) => {
      const victim = brokers[1]!
      await victim.kill9()
      await sleep(8000)
      await victim.start()
    },
  },
  {
    name: 'rolling-restart',
    summary: 'an orderly restart of each of three brokers in turn',
    topology: 'three brokers',
    short: false,
    run: async (stage) => {
      for (const broker of stage.brokers) {
        await broker.stop()
        await broker.start()
        // An operator waits until every replica is back in sync before the next one.
        await inSync(stage)
      }
    },
  },
  {
    name: 'leader-moved',
    summary: 'the leader of every partition of the busiest topics moves to the next broker, twice',
    topology: 'three brokers',
    short: false,
    run: async (stage) => {
      let moved = 0
      for (const shift of [1, 2]) {
        const before = await leadersOf(stage)
        await preferLeaders(stage, shift)
        const after = await leadersOf(stage)
        moved += [...after].filter(([partition, leader]) => before.get(partition) !== leader).length
      }
      if (moved === 0) throw new Error('no partition has another leader than before')
      return { figures: { moved } }
    },
  },
]

const busiest = [topics.tokenDistributions, topics.scoredTokens, topics.trainingWindows]

/** Orders the replicas so that another one is preferred, and has it elected. */
async function preferLeaders({ brokers, directory }: Stage, shift: number): Promise<void> {
  const ids = brokers.map((_, i) => i + 1)
  const partitions = busiest.flatMap(({ name, partitions: count }) =>
    Array.from({ length: count }, (_, partition) => ({
      topic: name,
      partition,
      replicas: ids.map((_, i) => ids[(i + partition + shift) % ids.length]!),
    })),
  )
  const file = join(directory, 'reassignment.json')
  await writeFile(file, JSON.stringify({ version: 1, partitions }))
  const server = ['--bootstrap-server', brokers.map(({ bootstrap }) => bootstrap).join(',')]
  const reassignment = [...server, '--reassignment-json-file', file]
  await runKafkaTool('org.apache.kafka.tools.reassign.ReassignPartitionsCommand', [...reassignment, '--execute'])
  await sleep(1000)
  const election = [...server, '--election-type', 'preferred', '--path-to-json-file', file]
  await runKafkaTool('org.apache.kafka.tools.LeaderElectionCommand', election)
}

/** "<topic>/<partition>" and the number of its leader. */
async function leadersOf(stage: Stage): Promise<Map<string, string>> {
  const description = await describeTopics(stage)
  const lines = description.matchAll(/Topic: (\S+)\s+Partition: (\d+)\s+Leader: (\S+)/g)
  return new Map([...lines].map(([, topic, partition, leader]) => [`${topic}/${partition}`, leader!]))
}

async function inSync(stage: Stage): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    if (!(await describeTopics(stage, '--under-replicated-partitions')).includes('Topic:')) return
    await sleep(1000)
  }
  throw new Error('replicas were not in sync 20 s after a restart')
}

function describeTopics({ brokers }: Stage, ...filter: string[]): Promise<string> {
  const server = brokers.map(({ bootstrap }) => bootstrap).join(',')
  return runKafkaTool('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', server, '--describe', ...filter])
}
