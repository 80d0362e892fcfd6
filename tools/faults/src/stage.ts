import { groups, TokenWindow, topics } from '@plateau/contracts'
import { Cluster, metricSum, type ProcessName, readPrompts, serviceNames } from '@plateau/demo'
import { readLag, type EventLog } from '@plateau/event-log'
import { startBroker, startCluster, type KafkaBroker } from '@plateau/kafka-dev'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { clockJumpModule } from './clock-jump.js'
import { FlowWatch } from './flow-watch.js'
import { ProduceProxy } from './produce-proxy.js'
import type { Topology } from './scenario.js'
import { Users } from './users.js'
import { Workload } from './workload.js'

const model = (name: string): string => fileURLToPath(new URL(`../../../models/${name}`, import.meta.url))

/** Small enough to leave the processors to what is tested; real all the same. */
const TARGET = model('tiny-target')
const CLIENTS = 2
const CAUGHT_UP_MS = 120_000

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

  /** The trainer's count of windows over the lineage's life: of whichever process is the writer. */
  async trained(): Promise<number> {
    const trainers = this.cluster.processes.filter((name) => name.startsWith('trainer') && this.cluster.isRunning(name))
    const counts = await Promise.all(
      trainers.map((name) => metricSum(this.cluster.opsUrl(name), 'plateau_trainer_lineage_windows')),
    )
    return Math.max(0, ...counts)
  }

  /** Records that the scorer and the trainer have not committed. */
  async lag(): Promise<number> {
    const lags = await Promise.all([
      readLag(this.log, groups.scorer, topics.tokenDistributions.name),
      readLag(this.log, groups.trainer, topics.trainingWindows.name),
    ])
    return lags.flat().reduce((sum, { records }) => sum + records, 0)
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

  /** With nothing new coming in: until the scorer and the trainer have worked everything off. */
  async caughtUp(): Promise<void> {
    const giveUpAtMs = Date.now() + CAUGHT_UP_MS
    for (let quiet = 0; quiet < 3;) {
      const lag = await this.lag().catch(() => Number.NaN)
      const trained = await this.trained().catch(() => Number.NaN)
      const { size } = this.watch.forTraining
      quiet = lag === 0 && trained >= size ? quiet + 1 : 0
      if (Date.now() > giveUpAtMs) {
        const state = `${lag} records behind, ${trained} of ${size} windows trained`
        throw new Error(`not caught up after ${CAUGHT_UP_MS / 1000} s: ${state}`)
      }
      await sleep(200)
    }
  }
}

async function openBrokers(topology: Topology, directory: string) {
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

/** The first window that the running target has captured. */
async function firstWindow(log: EventLog): Promise<TokenWindow> {
  const reader = log.reader({ topic: topics.tokenDistributions.name, from: 'earliest' })
  for await (const { records } of reader) return TokenWindow.decode(records[0]!.value!)
  throw new Error('the event log was closed before a window came')
}
