import { startBroker, startCluster, type KafkaBroker } from '@plateau/kafka-dev'
import { join } from 'node:path'
import { ProduceProxy } from './produce-proxy.js'
import type { Topology } from './scenario.js'

export interface Brokers {
  readonly brokers: readonly KafkaBroker[]
  readonly bootstrapServers: readonly string[]
  /** Stands between everybody and the only broker; undefined with several. */
  readonly proxy: ProduceProxy | undefined
  readonly close: () => Promise<void>
}

/** Real brokers, kept in `directory`. */
export async function openBrokers(topology: Topology, directory: string): Promise<Brokers> {
  if (topology === 'three brokers') {
    const kafka = await startCluster({ directory: join(directory, 'kafka') })
    const { brokers, bootstrapServers } = kafka
    return { brokers, bootstrapServers, proxy: undefined, close: () => kafka.destroy() }
  }
  const proxy = await ProduceProxy.listen()
  const broker = await startBroker({
    directory: join(directory, 'kafka'),
    // Clients are sent back to the proxy, whichever address they found the broker by.
    extraProperties: {
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}`,
      'inter.broker.listener.name': 'PLAINTEXT',
    },
  })
  proxy.forwardTo(broker.port)
  const close = async () => {
    await proxy.close()
    await broker.destroy()
  }
  return { brokers: [broker], bootstrapServers: [`127.0.0.1:${proxy.port}`], proxy, close }
}
