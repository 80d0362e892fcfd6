import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { caFile, certificateFiles, type CertificateFiles } from './certificates.js'
import { KafkaDevError } from './errors.js'
import { resolveKafka } from './jars.js'
import { withLock } from './lock.js'
import {
  certificateUser,
  clientPropertiesFile,
  launch,
  logFile,
  saysItStarted,
  serving,
  type LaunchOptions,
} from './node-process.js'
import { freePorts, isFree } from './ports.js'
import { answers } from './probe.js'
import { hasExited, isBroker, killBroker, processOf, signalBroker } from './processes.js'
import { readSettings, type KafkaUser, type NodeSettings, type Security } from './settings.js'
import { currentRun, deleteBrokerFolder } from './test-run.js'

export interface StartOptions {
  /** Default: 512 MB for a broker on its own, 384 MB for each of a cluster. */
  readonly heapMb?: number
  /** Added to server.properties, or in place of what stands there. */
  readonly extraProperties?: Readonly<Record<string, string>>
  /** Let the broker live on when this process ends. Default: it is killed then. */
  readonly leaveRunning?: boolean
  /** Default: 120 000. */
  readonly startupTimeoutMs?: number
  /** Told about the one download. Default: standard error. */
  readonly onProgress?: (line: string) => void
  readonly signal?: AbortSignal
}

export interface BrokerOptions extends StartOptions {
  /** Keeps its data, its ports and its kind: a later start carries on. Default: a new temporary folder. */
  readonly directory?: string
  /** The clients' port. Default: any free one. */
  readonly port?: number
  readonly security?: Security
  /** For `sasl_ssl`: the first is the super user, the second the one that the client certificate stands for. */
  readonly users?: readonly KafkaUser[]
}

export type BrokerSecurity =
  | { readonly kind: 'plaintext' }
  | {
      readonly kind: 'sasl_ssl'
      readonly caFile: string
      /** SCRAM-SHA-512, SCRAM-SHA-256 and PLAIN on `bootstrap`. The first user is the super user. */
      readonly users: readonly KafkaUser[]
      /** Where a certificate logs in, as `user`. `stranger` bears the same name from an authority that is not trusted. */
      readonly mtls: { readonly bootstrap: string; readonly user: string } & CertificateFiles & {
          readonly stranger: CertificateFiles
        }
      /** Where OAUTHBEARER takes any unsigned token; see `unsecuredToken`. */
      readonly oauth: { readonly bootstrap: string }
    }

const defaultUsers: readonly KafkaUser[] = [
  { name: 'admin', password: 'admin-secret' },
  { name: 'app', password: 'app-secret' },
  { name: 'guest', password: 'guest-secret' },
]

/** Starts a broker and waits until it serves; one that runs already in that folder is joined. */
export async function startBroker(options: BrokerOptions = {}): Promise<KafkaBroker> {
  const launching = await launchOptions(options)
  const directory = brokerFolder(options.directory)
  return withLock(
    lockFile(directory),
    async () => {
      const settings = await startFresh(directory, options, launching)
      return new KafkaBroker(directory, settings, launching)
    },
    { signal: options.signal },
  )
}

/** The broker of a folder, running or not. */
export async function openBroker(directory: string): Promise<KafkaBroker> {
  const folder = resolve(directory)
  const settings = readSettings(folder)
  if (settings === undefined) throw new KafkaDevError('WRONG_FOLDER', `no broker was ever started in ${folder}`)
  return new KafkaBroker(realpathSync(folder), settings, await launchOptions({ leaveRunning: true }))
}

/** One real broker: a process and a folder. Others may hold handles to the same one. */
export class KafkaBroker {
  readonly directory: string
  readonly nodeId: number
  readonly port: number
  /** `127.0.0.1:port` */
  readonly bootstrap: string
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
    this.bootstrap = loopback(this.port)
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

  /** Starts it again on the same data and ports; nothing when it runs. */
  async start(options: { signal?: AbortSignal } = {}): Promise<void> {
    const launching = { ...this.#launching, signal: options.signal }
    await withLock(lockFile(this.directory), async () => {
      await launch(this.directory, this.#settings, launching)
      await serving(this.directory, launching)
    })
  }

  /** Up, and answering: false while it starts, and while it is frozen. */
  async isServing(): Promise<boolean> {
    if (this.pid === undefined || !saysItStarted(this.directory)) return false
    const ca = this.security.kind === 'sasl_ssl' ? readFileSync(this.security.caFile, 'utf8') : undefined
    return answers(this.port, ca === undefined ? {} : { ca })
  }

  /** An orderly shutdown; the data stays. A broker that does not end within 30 s is killed. */
  async stop(): Promise<void> {
    const pid = this.pid
    if (pid === undefined) return
    signalBroker(pid, 'SIGTERM')
    signalBroker(pid, 'SIGCONT') // A frozen process would not see SIGTERM.
    if (!(await hasExited(pid, this.directory, 30_000))) await killBroker({ pid, directory: this.directory })
  }

  /** A crash, on purpose. */
  async kill9(): Promise<void> {
    await killBroker({ pid: this.#running('kill'), directory: this.directory })
  }

  /** Stands still as if the machine had paused: connections stay open, nothing is answered. */
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

export async function launchOptions(options: StartOptions): Promise<LaunchOptions> {
  return {
    libs: await resolveKafka({ onProgress: options.onProgress, signal: options.signal }),
    leaveRunning: options.leaveRunning ?? false,
    startupTimeoutMs: options.startupTimeoutMs ?? 120_000,
    signal: options.signal,
  }
}

/** Beside the folder and not in it: whoever waits for it must outlast a `destroy`. */
export const lockFile = (directory: string) => `${directory}.lock`

/** Makes the folder; refuses one that holds something else than a broker. */
export function brokerFolder(given: string | undefined): string {
  const directory = given === undefined ? mkdtempSync(join(currentRun() ?? tmpdir(), 'kafka-')) : resolve(given)
  // Kafka reads commas as "several folders", and quotes as part of a login line.
  if (/[,"'\\\r\n]/.test(directory))
    throw new KafkaDevError(
      'BAD_OPTION',
      `a broker's folder may not have a comma, quote or backslash in its path: ${directory}`,
    )
  mkdirSync(directory, { recursive: true })
  const real = realpathSync(directory)
  if (readdirSync(real).length > 0 && readSettings(real) === undefined)
    throw new KafkaDevError('WRONG_FOLDER', `${real} is not empty and holds no broker: give another folder`)
  return real
}

/** The port stands in the controller's own log since the format, so a folder keeps it; a new folder may try others. */
async function startFresh(directory: string, options: BrokerOptions, launching: LaunchOptions): Promise<NodeSettings> {
  for (let attempt = 1; ; attempt++) {
    const formatted = existsSync(join(directory, 'formatted'))
    const known = formatted ? readSettings(directory) : undefined
    const settings = known === undefined ? await newSettings(options) : carriedOn(directory, known, options)
    try {
      await launch(directory, settings, launching)
      await serving(directory, launching)
      return settings
    } catch (error) {
      const mayMove = !formatted && options.port === undefined && attempt < 4
      if (!(error instanceof KafkaDevError && error.code === 'PORT_TAKEN' && mayMove)) throw error
      deleteBrokerFolder(directory)
      mkdirSync(directory)
    }
  }
}

async function newSettings(options: BrokerOptions): Promise<NodeSettings> {
  const security = options.security ?? 'plaintext'
  if (options.port !== undefined) await refuseTakenPort(options.port)
  const free = await freePorts(5)
  const [client = 0, controller = 0, internal = 0, mtls = 0, oauth = 0] = free
  return {
    nodeId: 1,
    clusterId: newId(),
    ports: {
      client: options.port ?? client,
      controller,
      internal,
      ...(security === 'sasl_ssl' ? { mtls, oauth } : {}),
    },
    voters: [{ nodeId: 1, controllerPort: controller, directoryId: newId() }],
    security,
    users: security === 'sasl_ssl' ? checkedUsers(options.users ?? defaultUsers) : [],
    heapMb: options.heapMb ?? 512,
    extraProperties: options.extraProperties ?? {},
  }
}

async function refuseTakenPort(port: number): Promise<void> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new KafkaDevError('BAD_OPTION', `${port} is not a port: give a number from 1 to 65535`)
  if (!(await isFree(port)))
    throw new KafkaDevError('PORT_TAKEN', `port ${port} is taken on 127.0.0.1: give another one`, { facts: { port } })
}

function carriedOn(directory: string, known: NodeSettings, options: BrokerOptions): NodeSettings {
  const conflict = (what: string) =>
    new KafkaDevError(
      'WRONG_FOLDER',
      `the broker in ${directory} has ${what}: destroy it first, or give another folder`,
    )
  if (options.port !== undefined && options.port !== known.ports.client) throw conflict(`port ${known.ports.client}`)
  if (options.security !== undefined && options.security !== known.security)
    throw conflict(`security ${known.security}`)
  return {
    ...known,
    heapMb: options.heapMb ?? known.heapMb,
    extraProperties: options.extraProperties ?? known.extraProperties,
  }
}

function checkedUsers(users: readonly KafkaUser[]): readonly KafkaUser[] {
  const plain = /^[A-Za-z0-9._-]+$/
  const bad = users.find(({ name, password }) => !plain.test(name) || !plain.test(password))
  if (bad !== undefined || users.length === 0)
    throw new KafkaDevError('BAD_OPTION', 'users: at least one; letters, digits and . _ - in names and passwords')
  return users
}

function securityFacts(directory: string, settings: NodeSettings): BrokerSecurity {
  if (settings.security === 'plaintext') return { kind: 'plaintext' }
  const user = certificateUser(settings)
  return {
    kind: 'sasl_ssl',
    caFile: caFile(directory),
    users: settings.users,
    mtls: {
      bootstrap: loopback(settings.ports.mtls),
      user,
      ...certificateFiles(directory, user),
      stranger: certificateFiles(directory, 'stranger'),
    },
    oauth: { bootstrap: loopback(settings.ports.oauth) },
  }
}

/** 16 random bytes as Kafka writes them. Not with a dash in front: a command line would take it for an option. */
export function newId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? newId() : id
}

const loopback = (port: number | undefined) => `127.0.0.1:${port}`
