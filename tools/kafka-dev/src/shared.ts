/** Brokers that all test files of one run share: the first caller starts one, the others join it. */
import { join } from 'node:path'
import { startBroker, type BrokerOptions, type KafkaBroker } from './broker.js'
import { currentRun } from './test-run.js'

/** The one plaintext broker of this test run. Give topics and groups names of your own, and leave it running. */
export function testBroker(): Promise<KafkaBroker> {
  return shared('plaintext', { security: 'plaintext' })
}

/** The one SASL_SSL broker of this test run, as `testBroker`. */
export function testSecureBroker(): Promise<KafkaBroker> {
  return shared('sasl_ssl', { security: 'sasl_ssl' })
}

const ownBrokers = new Map<string, Promise<KafkaBroker>>()

/** Without a run (no global setup) the broker is this process's own, and dies with it. */
function shared(name: string, options: BrokerOptions): Promise<KafkaBroker> {
  const run = currentRun()
  if (run !== undefined) return startBroker({ ...options, directory: join(run, name), leaveRunning: true })
  const own = ownBrokers.get(name) ?? startBroker(options)
  ownBrokers.set(name, own)
  return own
}
