import { Cluster, metricSum, type ProcessName, readPrompts, serviceNames } from '@plateau/demo'
import type { EventLog } from '@plateau/event-log'
import type { KafkaBroker } from '@plateau/kafka-dev'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openBrokers } from './brokers.js'
import { caughtUp, trainedWindows } from './caught-up.js'
import { clockJumpModule } from './clock-jump.js'
import { FlowWatch } from './flow-watch.js'
import type { ProduceProxy } from './produce-proxy.js'
import type { Topology } from './scenario.js'
import { Users } from './users.js'
import { firstWindow, Workload } from './workload.js'

const model = (name: string): string => fileURLToPath(new URL(`../../../models/${name}`, import.meta.url))

/** Small enough to leave the processors to what is tested; real all the same. */
const TARGET = model('tiny-target')
const CLIENTS = 2

const pairs: readonly ProcessName[] = [...serviceNames, ...serviceNames.map((name): ProcessName => `${name}#2`)]

/** A running system with its workload: what every scenario acts on. */
export class Stage {
  readonly #closing: readonly (() => Promise<unknown>)[]

  private constructor(
    readonly directory: string,
    readonly brokers: readonly KafkaBroker[],
    /** Stands between everybody and the only broker; undefined with several. */
    readonly proxy: ProduceProxy | undefined,
    readonly cluster: Cluster,
    readonly log: EventLog,
    readonly watch: FlowWatch,
    readonly workload: Workload,
    readonly users: Users,
    closing: readonly (() => Promise<unknown>)[],
  ) {
    this.#closing = closing
  }

  static async open(topology: Topology, say: (line: string) => void): Promise<Stage> {
    const closing: (() => Promise<unknown>)[] = []
    const directory = await mkdtemp(join(tmpdir(), 'plateau-faults-'))
    closing.push(() => rm(directory, { recursive: true, force: true }))
    try {
      say(`starting ${topology === 'three brokers' ? 'three brokers' : 'a broker'}`)
      const { brokers, bootstrapServers, proxy, close } = await openBrokers(topology, directory)
      closing.push(close)
      const services = topology === 'pairs' ? pairs : serviceNames
      say(`starting ${services.join(', ')}`)
      const cluster = await Cluster.start({
        directory,
        model: TARGET,
        services,
        eventLog: {
          PLATEAU_EVENT_LOG: `kafka:${bootstrapServers.join(',')}`,
          PLATEAU_KAFKA_REPLICATION: String(brokers.length),
        },
        env: {
          'target-model': { NODE_OPTIONS: `--import ${clockJumpModule}` },
          'flatness-scorer': { NODE_OPTIONS: `--import ${clockJumpModule}` },
          trainer: { PLATEAU_SNAPSHOT_SECONDS: '2' },
        },
      })
      closing.push(() => cluster.stop())
      const log = await cluster.openEventLog()
      closing.push(() => log.close())
      const watch = new FlowWatch(log)
      closing.push(() => watch.close())
      const servings = services.filter((name) => name.startsWith('serving'))
      const prompts = readPrompts(model('demo-target'), 'sotu').prompts
      const users = new Users(
        servings.map((name) => cluster.httpUrlOf(name)),
        prompts,
        CLIENTS,
      )
      users.start()
      closing.push(() => users.stop())
      const workload = new Workload(log, await firstWindow(log))
      workload.start()
      closing.push(() => workload.abandon())
      return new Stage(directory, brokers, proxy, cluster, log, watch, workload, users, closing)
    } catch (error) {
      for (const close of closing.toReversed()) await close()
      throw error
    }
  }

  get broker(): KafkaBroker {
    return this.brokers[0]!
  }

  /** Also in the middle of a scenario: a broker may be dead or frozen then, and takes no leave. */
  async close(): Promise<void> {
    for (const broker of this.brokers) if (broker.pid !== undefined) broker.thaw()
    for (const close of this.#closing.toReversed()) await close()
  }

  trained(): Promise<number> {
    return trainedWindows(this.cluster)
  }

  /** The most memory that any process of the system holds now, MiB. */
  async residentMiB(): Promise<number> {
    const running = this.cluster.processes.filter((name) => this.cluster.isRunning(name))
    const each = await Promise.all(
      running.map((name) =>
        metricSum(this.cluster.opsUrl(name), 'plateau_process_resident_memory_bytes').catch(() => 0),
      ),
    )
    return Math.max(0, ...each) / 2 ** 20
  }

  caughtUp(): Promise<void> {
    return caughtUp(this)
  }
}
