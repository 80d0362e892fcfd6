import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from '../scenario.js'

const FROZEN_MS = 30_000
const DISK_FULL_MS = 8000

/** What happens to the only broker. */
export const brokerScenarios: readonly Scenario[] = [
  {
    name: 'broker-kill9',
    summary: 'kill -9 and restart of the only broker',
    topology: 'one broker',
    short: true,
    run: async ({ broker }) => {
      await broker.kill9()
      await broker.start()
    },
  },
  {
    name: 'broker-frozen',
    summary: `the only broker stands still for ${FROZEN_MS / 1000} s`,
    topology: 'one broker',
    short: false,
    run: async ({ broker }) => {
      broker.freeze()
      await sleep(FROZEN_MS)
      broker.thaw()
    },
  },
  {
    name: 'disk-full',
    summary: `for ${DISK_FULL_MS / 1000} s the broker answers every Produce with KAFKA_STORAGE_ERROR`,
    topology: 'one broker',
    short: true,
    run: async ({ proxy }) => {
      const before = proxy!.refused
      proxy!.diskFull = true
      await sleep(DISK_FULL_MS)
      proxy!.diskFull = false
      const refused = proxy!.refused - before
      if (refused === 0) throw new Error('no Produce request came while the disk was full')
      return { figures: { refused } }
    },
  },
]
