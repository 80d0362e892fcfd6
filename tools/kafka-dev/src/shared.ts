/** Brokers that all test files of one run share: the first caller starts one, the others join it. */
import { join } from 'node:path'
import type { KafkaBroker } from './broker.js'
import { startCluster, type KafkaCluster } from './cluster.js'
import { startBroker } from './start-broker.js'
import { currentRun } from './test-run.js'

/** The one plaintext broker of this test run. Give topics and groups names of your own, and leave it running. */
export function testBroker(): Promise<KafkaBroker> {
  return shared('plaintext', (where) => startBroker({ ...where, security: 'plaintext' }))
}

/** The one SASL_SSL broker of this test run, as `testBroker`. */
export function testSecureBroker(): Promise<KafkaBroker> {
  return shared('sasl_ssl', (where) => startBroker({ ...where, security: 'sasl_ssl' }))
}

/** The one cluster of this test run. Whoever stops one of its brokers starts it again before the test ends. */
export function testCluster(): Promise<KafkaCluster> {
  return shared('cluster', startCluster)
}

interface Where {
  readonly directory?: string
  readonly leaveRunning?: boolean
}

const ownBrokers = new Map<string, Promise<unknown>>()

/** Without a run (no global setup) the broker is this process's own, and dies with it. */
function shared<T>(name: string, start: (where: Where) => Promise<T>): Promise<T> {
  const run = currentRun()
  if (run !== undefined) return start({ directory: join(run, name), leaveRunning: true })
  const own = (ownBrokers.get(name) as Promise<T> | undefined) ?? start({})
  ownBrokers.set(name, own)
  return own
}
