import { readFileSync } from 'node:fs'
import { securityFacts, type BrokerSecurity } from './broker-security.js'
import { KafkaDevError } from './errors.js'
import { withLock } from './lock.js'
import {
  clientPropertiesFile,
  launch,
  lockFile,
  logFile,
  saysItStarted,
  serving,
  type LaunchOptions,
} from './node-process.js'
import { answers } from './probe.js'
import { hasExited, isBroker, killBroker, processOf, signalBroker } from './processes.js'
import type { NodeSettings } from './settings.js'
import { deleteBrokerFolder } from './test-run.js'

/**
 * One real broker: a folder, and a process that comes and goes. Several handles, in several processes, may share one.
 *
 *     stopped --start--> serving --freeze--> frozen --thaw--> serving
 *     stopped <--stop, kill9-- serving, frozen        any --destroy--> gone
 */
export class KafkaBroker {
  readonly directory: string
  readonly nodeId: number
  readonly port: number
  /** `127.0.0.1:port` */
  readonly bootstrap: string
  /** This broker's; a cluster lists those of all. */
  readonly bootstrapServers: readonly string[]
  readonly security: BrokerSecurity
  /** What the broker said since its last start. */
  readonly logFile: string
  /** For Kafka's own tools (`--command-config`): logs in as the first user. */
  readonly clientPropertiesFile: string
  readonly #settings: NodeSettings
  readonly #launching: LaunchOptions
  #pid: number | undefined

  constructor(directory: string, settings: NodeSettings, launching: LaunchOptions) {
    this.directory = directory
    this.nodeId = settings.nodeId
    this.port = settings.ports.client
    this.bootstrap = `127.0.0.1:${this.port}`
    this.bootstrapServers = [this.bootstrap]
    this.security = securityFacts(directory, settings)
    this.logFile = logFile(directory)
    this.clientPropertiesFile = clientPropertiesFile(directory)
    this.#settings = settings
    this.#launching = launching
  }

  /** Undefined when it does not run. */
  get pid(): number | undefined {
    if (this.#pid === undefined || !isBroker(this.#pid, this.directory)) this.#pid = processOf(this.directory)
    return this.#pid
  }

  /** Starts it again on the same data and ports; waits only, when it runs already. */
  async start(options: { signal?: AbortSignal } = {}): Promise<void> {
    const launching = { ...this.#launching, signal: options.signal }
    await withLock(lockFile(this.directory), async () => {
      await launch(this.directory, this.#settings, launching)
      await serving(this.directory, launching)
    })
  }

  /** Up and answering: false while it starts, and while it is frozen. */
  async isServing(): Promise<boolean> {
    if (this.pid === undefined || !saysItStarted(this.directory)) return false
    const ca = this.security.kind === 'sasl_ssl' ? readFileSync(this.security.caFile, 'utf8') : undefined
    return answers(this.port, ca)
  }

  /** An orderly shutdown; the data stays. A broker that has not ended within `patienceMs` (30 s) is killed. */
  async stop({ patienceMs = 30_000 }: { patienceMs?: number } = {}): Promise<void> {
    const pid = this.pid
    if (pid === undefined) return
    signalBroker(pid, 'SIGTERM')
    signalBroker(pid, 'SIGCONT') // A frozen process would not see SIGTERM.
    if (!(await hasExited(pid, this.directory, patienceMs))) await killBroker({ pid, directory: this.directory })
  }

  /** A crash, on purpose. Resolves when the process is gone. */
  async kill9(): Promise<void> {
    await killBroker({ pid: this.#running('kill'), directory: this.directory })
  }

  /** Stands still as if its machine had paused: connections stay open, and nothing is answered. */
  freeze(): void {
    signalBroker(this.#running('freeze'), 'SIGSTOP')
  }

  thaw(): void {
    signalBroker(this.#running('thaw'), 'SIGCONT')
  }

  /** Ends it at once and deletes its folder. */
  async destroy(): Promise<void> {
    const pid = this.pid
    if (pid !== undefined) await killBroker({ pid, directory: this.directory })
    deleteBrokerFolder(this.directory)
  }

  #running(purpose: string): number {
    const pid = this.pid
    if (pid !== undefined) return pid
    throw new KafkaDevError('FAILED', `no broker runs in ${this.directory}: nothing to ${purpose}`)
  }
}
