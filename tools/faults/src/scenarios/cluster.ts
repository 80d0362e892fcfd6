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
      for (const shift of [1, 2]) await preferLeaders(stage, shift)
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

async function inSync({ brokers }: Stage): Promise<void> {
  const args = ['--bootstrap-server', brokers.map(({ bootstrap }) => bootstrap).join(','), '--describe']
  for (let tries = 0; tries < 20; tries++) {
    const behind = await runKafkaTool('org.apache.kafka.tools.TopicCommand', [...args, '--under-replicated-partitions'])
    if (!behind.includes('Topic:')) return
    await sleep(1000)
  }
  throw new Error('replicas were not in sync 20 s after a restart')
}
