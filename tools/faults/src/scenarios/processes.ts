import { serviceNames, type ProcessName } from '@plateau/demo'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from '../scenario.js'
import type { Stage } from '../stage.js'

const DEAD_MS = 1000
const STEADY_MS = 3000
const JUMP_MS = 5000

/** What happens to processes that have no double. */
export const processScenarios: readonly Scenario[] = [
  ...serviceNames.map((name): Scenario => ({
    name: `${name}-kill9`,
    summary: `kill -9 of ${name}, and its restart a second later`,
    topology: 'one broker',
    short: name === 'flatness-scorer' || name === 'trainer',
    run: (stage) => dieAndReturn(stage, name),
  })),
  {
    name: 'clock-jump',
    summary: 'the clocks of target-model and flatness-scorer jump half an hour ahead, and back',
    topology: 'one broker',
    short: true,
    run: async ({ cluster }) => {
      const jump = () => {
        for (const name of ['target-model', 'flatness-scorer'] as const) {
          process.kill(cluster.processId(name)!, 'SIGUSR2')
        }
      }
      jump()
      await sleep(JUMP_MS)
      jump()
    },
  },
]

/** What happens when there are two of each. */
export const pairScenarios: readonly Scenario[] = [
  {
    name: 'scorers-rebalance',
    summary: 'of two scorers one leaves, comes back, and the other is killed -9 and comes back',
    topology: 'pairs',
    short: true,
    run: async (stage) => {
      const { cluster } = stage
      await cluster.terminate('flatness-scorer#2')
      await sleep(STEADY_MS)
      cluster.launch('flatness-scorer#2')
      await cluster.ready('flatness-scorer#2')
      await sleep(STEADY_MS)
      await dieAndReturn(stage, 'flatness-scorer')
      await sleep(STEADY_MS)
    },
  },
  {
    name: 'trainer-takeover',
    summary: 'of two trainers on one lineage each is killed -9 in turn: the other takes over',
    topology: 'pairs',
    short: false,
    run: async (stage) => {
      for (const name of ['trainer', 'trainer#2'] as const) {
        await stage.cluster.kill9(name)
        await sleep(STEADY_MS * 5)
        stage.cluster.launch(name)
        await stage.cluster.ready(name)
      }
    },
  },
  {
    name: 'serving-and-target-kill9',
    summary: 'of two servings and two target-models one pair is killed -9',
    topology: 'pairs',
    short: false,
    run: async (stage) => {
      const { cluster } = stage
      await Promise.all([cluster.kill9('serving#2'), cluster.kill9('target-model#2')])
      await sleep(STEADY_MS)
      cluster.launch('target-model#2')
      await cluster.ready('target-model#2')
      cluster.launch('serving#2')
      await cluster.ready('serving#2')
    },
  },
]

async function dieAndReturn({ cluster }: Stage, name: ProcessName): Promise<void> {
  await cluster.kill9(name)
  await sleep(DEAD_MS)
  cluster.launch(name)
  await cluster.ready(name)
  // Serving's way back to a restarted target takes a moment more than the target's own readiness.
  if (name === 'target-model') await cluster.ready('serving')
}
