import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { generateSigningKey, writeSigningKey } from '@plateau/checkpoints'
import { holderFiles, issueInto } from '@plateau/dev-certificates'
import type { EventLog } from '@plateau/event-log'
import { serviceNames as identities, spiffeId, type ServiceName as HolderName } from '@plateau/mtls'
import { eventLogConfig, openEventLog, openTransport, transportConfig, type Transport } from '@plateau/service-kit'
import { silentLogger } from '@plateau/telemetry'

export const serviceNames = ['target-model', 'flatness-scorer', 'trainer', 'serving'] as const
/** The console reads what the others write; a cluster has one only where it is asked for. */
const stopOrder = ['console', ...serviceNames.toReversed()] as const
export type ServiceName = (typeof stopOrder)[number]
/** A process of a service; further ones of the same service are "serving#2", "serving#3", ... */
export type ProcessName = ServiceName | `${ServiceName}#${number}`

export interface ClusterOptions {
  /** Everything the cluster writes goes here: event log, checkpoints, keys, service logs. */
  readonly directory: string
  /** Hugging Face directory of the target. */
  readonly model: string
  /** Settings that choose the event log (PLATEAU_EVENT_LOG, PLATEAU_KAFKA_*); default: an embedded one in `directory`. */
  readonly eventLog?: Readonly<Record<string, string>>
  /** Further environment, per service. */
  readonly env?: Partial<Record<ServiceName, Readonly<Record<string, string>>>>
  /** Services talk by mutual TLS, with certificates of an authority of the cluster's own. Default: plaintext. */
  readonly mtls?: boolean
  /** Processes to start; default one of each service. */
  readonly services?: readonly ProcessName[]
}

interface Running {
  child: ChildProcess
  /** Resolves with the exit code, or the signal's name. */
  exited: Promise<number | string>
}

/** Where a process listens: gRPC of target-model and serving, HTTP of serving and console, admin of serving. */
interface Ports {
  readonly grpc: number
  readonly http: number
  readonly admin: number
  readonly ops: number
}

const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * Plateau's services as separate processes on this machine, on one event log. Used by the demo, and by the tests and
 * fault runs that kill things.
 */
export class Cluster {
  readonly #running = new Map<ProcessName, Running>()
  readonly #ports: ReadonlyMap<ProcessName, Ports>
  readonly #eventLog: Readonly<Record<string, string>>
  readonly checkpointDirectory: string
  readonly #certificateDirectory: string

  private constructor(
    readonly options: ClusterOptions,
    readonly keys: { readonly privateKeyFile: string; readonly publicKeyFile: string },
    ports: ReadonlyMap<ProcessName, Ports>,
  ) {
    this.#ports = ports
    this.#eventLog = options.eventLog ?? { PLATEAU_EVENT_LOG: `embedded:${join(options.directory, 'event-log')}` }
    this.checkpointDirectory = join(options.directory, 'checkpoints')
    this.#certificateDirectory = join(options.directory, 'certificates')
    // Whatever ends this process, its services do not stay behind.
    process.once('exit', this.#killAll)
  }

  /** Starts the services and waits until each says it is ready. Throws with the end of a service's log when one is not. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    for (const folder of ['logs', 'checkpoints']) mkdirSync(join(options.directory, folder), { recursive: true })
    const names = options.services ?? serviceNames
    const free = await freePorts(4 * names.length)
    const ports = new Map(
      names.map((name, i) => {
        const [grpc, http, admin, ops] = free.slice(4 * i, 4 * i + 4) as [number, number, number, number]
        return [name, { grpc, http, admin, ops }]
      }),
    )
    const cluster = new Cluster(options, await ensureKeys(join(options.directory, 'keys')), ports)
    if (options.mtls === true) await cluster.#issueCertificates()
    try {
      for (const name of names) cluster.launch(name)
      await Promise.all(names.map((name) => cluster.ready(name)))
    } catch (cause) {
      await cluster.stop()
      throw cause
    }
    return cluster
  }

  /** The event log that the services are on, as one more process of theirs. The caller closes it. */
  openEventLog(): Promise<EventLog> {
    return openEventLog(eventLogConfig.parse(this.#eventLog))
  }

  get eventLogUrl(): string {
    return this.#eventLog['PLATEAU_EVENT_LOG']!
  }

  get processes(): readonly ProcessName[] {
    return [...this.#ports.keys()]
  }

  get httpUrl(): string {
    return this.httpUrlOf('serving')
  }

  httpUrlOf(name: ProcessName): string {
    return `http://127.0.0.1:${this.#portsOf(name).http}`
  }

  get targetAddress(): string {
    return this.targetAddressOf('target-model')
  }

  get grpcAddress(): string {
    return `127.0.0.1:${this.#portsOf('serving').grpc}`
  }

  get adminAddress(): string {
    return `127.0.0.1:${this.#portsOf('serving').admin}`
  }

  targetAddressOf(name: ProcessName): string {
    return `127.0.0.1:${this.#portsOf(name).grpc}`
  }

  opsUrl(name: ProcessName): string {
    return `http://127.0.0.1:${this.#portsOf(name).ops}`
  }

  logFile(name: ProcessName): string {
    return join(this.options.directory, 'logs', `${name}.log`)
  }

  isRunning(name: ProcessName): boolean {
    return this.#running.has(name)
  }

  processId(name: ProcessName): number | undefined {
    return this.#running.get(name)?.child.pid
  }

  /** How an operator's program talks with the services. The caller closes it. */
  openTransport(): Promise<Transport> {
    const settings = this.options.mtls === true ? this.#certificateSettings('operator') : {}
    const parts = { service: 'operator', logger: silentLogger, clock: Date.now } as const
    return openTransport(transportConfig('operator').parse(settings), parts)
  }

  #certificateSettings(service: HolderName): Record<string, string> {
    const { certFile, keyFile, caFile } = holderFiles(this.#certificateDirectory, service)
    return { PLATEAU_TLS_CERT_FILE: certFile, PLATEAU_TLS_KEY_FILE: keyFile, PLATEAU_TLS_CA_FILE: caFile }
  }

  #issueCertificates(): Promise<void> {
    const holders = identities.map((service) => ({
      name: service,
      uris: [spiffeId({ trustDomain: 'plateau.demo', namespace: 'demo', service })],
      hosts: [],
    }))
    const options = { authorityName: 'plateau.demo authority', authorityDays: 365, days: 30, nowMs: Date.now() }
    return issueInto(this.#certificateDirectory, holders, options)
  }

  launch(name: ProcessName): void {
    if (this.#running.has(name)) throw new Error(`${name} is running already`)
    const main = join(repositoryRoot, 'services', serviceOf(name), 'dist', 'main.js')
    if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
    const log = createWriteStream(this.logFile(name), { flags: 'a' })
    const child = spawn(process.execPath, ['--enable-source-maps', main], {
      env: { ...inheritedEnvironment(), ...this.#environment(name), ...this.options.env?.[serviceOf(name)] },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C is for whoever runs the cluster, which then drains the services in order.
      detached: true,
    })
    endWithUs(child)
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    const exited = new Promise<number | string>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('close', (code, signal) => {
        log.end()
        if (this.#running.get(name)?.child === child) this.#running.delete(name)
        resolve(code ?? signal ?? 'unknown')
      })
    })
    this.#running.set(name, { child, exited })
  }

  async ready(name: ProcessName, timeoutMs = 60_000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (performance.now() < deadline) {
      if (!this.#running.has(name))
        throw new Error(`${name} ended while starting: ${this.#lastFatal(name) ?? `\n${this.logTail(name)}`}`)
      if (await answersOk(`${this.opsUrl(name)}/readyz`)) return
      await sleep(50)
    }
    throw new Error(`${name} was not ready within ${timeoutMs} ms:\n${this.logTail(name)}`)
  }

  /** SIGKILL, as a crash. */
  async kill9(name: ProcessName): Promise<void> {
    await this.#end(name, 'SIGKILL')
  }

  /** SIGTERM: the service drains. Returns its exit code. */
  async terminate(name: ProcessName): Promise<number | string> {
    return this.#end(name, 'SIGTERM')
  }

  /** Ends all services, those that feed others last. */
  async stop(): Promise<void> {
    for (const service of stopOrder) {
      const names = [...this.#running.keys()].filter((name) => serviceOf(name) === service)
      await Promise.all(names.map((name) => this.terminate(name)))
    }
    process.removeListener('exit', this.#killAll)
  }

  logTail(name: ProcessName, lines = 20): string {
    const file = this.logFile(name)
    return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '(no log)'
  }

  /** Why the service gave up, as its log says it. */
  #lastFatal(name: ProcessName): string | undefined {
    const line = this.logTail(name)
      .split('\n')
      .findLast((text) => text.startsWith('{"level":"fatal"'))
    if (line === undefined) return undefined
    return (JSON.parse(line) as { readonly 'exception.message'?: string })['exception.message']
  }

  readonly #killAll = (): void => {
    for (const { child } of this.#running.values()) child.kill('SIGKILL')
  }

  async #end(name: ProcessName, signal: NodeJS.Signals): Promise<number | string> {
    const running = this.#running.get(name)
    if (!running) return 'not running'
    running.child.kill(signal)
    const code = await Promise.race([running.exited, sleep(30_000, undefined, { ref: false })])
    if (code !== undefined) return code
    running.child.kill('SIGKILL')
    return running.exited
  }

  #portsOf(name: ProcessName): Ports {
    const ports = this.#ports.get(name)
    if (ports === undefined) throw new Error(`the cluster was started without ${name}`)
    return ports
  }

  #environment(name: ProcessName): Record<string, string> {
    const { grpc, http, admin, ops } = this.#portsOf(name)
    const { model } = this.options
    const common = { ...this.#eventLog, PLATEAU_OPS_PORT: String(ops), ORT_DISABLE_TELEMETRY: '1' }
    const tls = this.options.mtls === true ? this.#certificateSettings(serviceOf(name)) : {}
    switch (serviceOf(name)) {
      case 'target-model':
        return { ...common, ...tls, PLATEAU_MODEL: model, PLATEAU_TARGET_ADDRESS: `127.0.0.1:${grpc}` }
      case 'flatness-scorer':
        return common
      case 'console':
        return {
          ...common,
          PLATEAU_CONSOLE_PORT: String(http),
          PLATEAU_CHECKPOINTS: this.checkpointDirectory,
          PLATEAU_VERIFY_KEY_FILE: this.keys.publicKeyFile,
        }
      case 'trainer':
        return {
          ...common,
          PLATEAU_MODEL: model,
          PLATEAU_CHECKPOINTS: this.checkpointDirectory,
          PLATEAU_SIGNING_KEY_FILE: this.keys.privateKeyFile,
        }
      case 'serving': {
        // serving#2 asks target-model#2 where there is one.
        const ownTarget = name.replace('serving', 'target-model') as ProcessName
        return {
          ...common,
          ...tls,
          PLATEAU_MODEL: model,
          PLATEAU_TARGET_ADDRESS: this.targetAddressOf(this.#ports.has(ownTarget) ? ownTarget : 'target-model'),
          PLATEAU_CHECKPOINTS: this.checkpointDirectory,
          PLATEAU_VERIFY_KEY_FILE: this.keys.publicKeyFile,
          PLATEAU_HTTP_PORT: String(http),
          PLATEAU_CAPTURE: 'all',
          PLATEAU_GRPC_ADDRESS: `127.0.0.1:${grpc}`,
          PLATEAU_ADMIN_ADDRESS: `127.0.0.1:${admin}`,
        }
      }
    }
  }
}

/** SIGTERM for the service once this process is gone, even by kill -9, after which nobody else would end it. */
function endWithUs({ pid }: ChildProcess): void {
  const watch =
    'while kill -0 "$1" 2>/dev/null && kill -0 "$2" 2>/dev/null; do sleep 1; done; ' +
    'kill -0 "$1" 2>/dev/null || kill -TERM "$2" 2>/dev/null'
  const args = ['-c', watch, 'watch', String(process.pid), String(pid)]
  // Where there is no shell the services stay behind, as they did.
  spawn('/bin/sh', args, { detached: true, stdio: 'ignore' })
    .on('error', () => {})
    .unref()
}

function serviceOf(name: ProcessName): ServiceName {
  return name.replace(/#.*/, '') as ServiceName
}

/** One signing key per cluster folder; a folder that is used again keeps its key, as its checkpoints are signed with it. */
async function ensureKeys(directory: string): Promise<{ privateKeyFile: string; publicKeyFile: string }> {
  const privateKeyFile = join(directory, 'signing.pem')
  mkdirSync(directory, { recursive: true })
  if (!existsSync(privateKeyFile)) await writeSigningKey(privateKeyFile, generateSigningKey())
  return { privateKeyFile, publicKeyFile: `${privateKeyFile}.pub` }
}

/** The caller's environment without its own Plateau settings: a demo must not inherit half of another configuration. */
function inheritedEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('PLATEAU_')))
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

/** Ports that were free a moment ago, all held at once so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
