import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { generateSigningKey, writeSigningKey } from '@plateau/checkpoints'

export const serviceNames = ['target-model', 'flatness-scorer', 'trainer', 'serving'] as const
export type ServiceName = (typeof serviceNames)[number]

export interface ClusterOptions {
  /** Everything the cluster writes goes here: event log, checkpoints, keys, service logs. */
  readonly directory: string
  /** Hugging Face directory of the target. */
  readonly model: string
  /** Further environment, per service. */
  readonly env?: Partial<Record<ServiceName, Readonly<Record<string, string>>>>
  /** Services to start; default all four. */
  readonly services?: readonly ServiceName[]
}

interface Running {
  child: ChildProcess
  /** Resolves with the exit code, or the signal's name. */
  exited: Promise<number | string>
}

const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * Plateau's four services as separate processes on this machine, on one embedded event log. Used by the demo, and by the
 * tests that kill things.
 */
export class Cluster {
  readonly #running = new Map<ServiceName, Running>()

  private constructor(
    readonly options: ClusterOptions,
    readonly eventLogDirectory: string,
    readonly checkpointDirectory: string,
    readonly keys: { readonly privateKeyFile: string; readonly publicKeyFile: string },
    readonly targetAddress: string,
    readonly servingAddress: string,
    readonly httpPort: number,
    readonly opsPorts: Readonly<Record<ServiceName, number>>,
  ) {
    // Whatever ends this process, its services do not stay behind.
    process.once('exit', this.#killAll)
  }

  /** Starts the services and waits until each says it is ready. Throws with the end of a service's log when one is not. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    mkdirSync(join(options.directory, 'logs'), { recursive: true })
    const ports = await freePorts(7)
    const cluster = new Cluster(
      options,
      join(options.directory, 'event-log'),
      join(options.directory, 'checkpoints'),
      await ensureKeys(join(options.directory, 'keys')),
      `127.0.0.1:${ports[0]!}`,
      `127.0.0.1:${ports[1]!}`,
      ports[2]!,
      { 'target-model': ports[3]!, 'flatness-scorer': ports[4]!, trainer: ports[5]!, serving: ports[6]! },
    )
    try {
      const services = options.services ?? serviceNames
      for (const name of services) cluster.launch(name)
      await Promise.all(services.map((name) => cluster.ready(name)))
    } catch (cause) {
      await cluster.stop()
      throw cause
    }
    return cluster
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.httpPort}`
  }

  opsUrl(name: ServiceName): string {
    return `http://127.0.0.1:${this.opsPorts[name]}`
  }

  logFile(name: ServiceName): string {
    return join(this.options.directory, 'logs', `${name}.log`)
  }

  isRunning(name: ServiceName): boolean {
    return this.#running.has(name)
  }

  processId(name: ServiceName): number | undefined {
    return this.#running.get(name)?.child.pid
  }

  launch(name: ServiceName): void {
    if (this.#running.has(name)) throw new Error(`${name} is running already`)
    const main = join(repositoryRoot, 'services', name, 'dist', 'main.js')
    if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
    const log = createWriteStream(this.logFile(name), { flags: 'a' })
    const child = spawn(process.execPath, ['--enable-source-maps', main], {
      env: { ...inheritedEnvironment(), ...this.#environment(name), ...this.options.env?.[name] },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C is for whoever runs the cluster, which then drains the services in order.
      detached: true,
    })
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

  async ready(name: ServiceName, timeoutMs = 60_000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (performance.now() < deadline) {
      if (!this.#running.has(name)) throw new Error(`${name} ended while starting:\n${this.logTail(name)}`)
      if (await answersOk(`${this.opsUrl(name)}/readyz`)) return
      await sleep(50)
    }
    throw new Error(`${name} was not ready within ${timeoutMs} ms:\n${this.logTail(name)}`)
  }

  /** SIGKILL, as a crash. */
  async kill9(name: ServiceName): Promise<void> {
    await this.#end(name, 'SIGKILL')
  }

  /** SIGTERM: the service drains. Returns its exit code. */
  async terminate(name: ServiceName): Promise<number | string> {
    return this.#end(name, 'SIGTERM')
  }

  /** Ends all services, those that feed others last. */
  async stop(): Promise<void> {
    for (const name of serviceNames.toReversed()) {
      if (this.#running.has(name)) await this.terminate(name)
    }
    process.removeListener('exit', this.#killAll)
  }

  logTail(name: ServiceName, lines = 20): string {
    const file = this.logFile(name)
    return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '(no log)'
  }

  readonly #killAll = (): void => {
    for (const { child } of this.#running.values()) child.kill('SIGKILL')
  }

  async #end(name: ServiceName, signal: NodeJS.Signals): Promise<number | string> {
    const running = this.#running.get(name)
    if (!running) return 'not running'
    running.child.kill(signal)
    const code = await Promise.race([running.exited, sleep(30_000, undefined, { ref: false })])
    if (code !== undefined) return code
    running.child.kill('SIGKILL')
    return running.exited
  }

  #environment(name: ServiceName): Record<string, string> {
    const common = {
      PLATEAU_EVENT_LOG: `embedded:${this.eventLogDirectory}`,
      PLATEAU_OPS_PORT: String(this.opsPorts[name]),
      ORT_DISABLE_TELEMETRY: '1',
    }
    switch (name) {
      case 'target-model':
        return { ...common, PLATEAU_MODEL: this.options.model, PLATEAU_TARGET_ADDRESS: this.targetAddress }
      case 'flatness-scorer':
        return common
      case 'trainer':
        return {
          ...common,
          PLATEAU_MODEL: this.options.model,
          PLATEAU_CHECKPOINTS: this.checkpointDirectory,
          PLATEAU_SIGNING_KEY_FILE: this.keys.privateKeyFile,
        }
      case 'serving':
        return {
          ...common,
          PLATEAU_MODEL: this.options.model,
          PLATEAU_TARGET_ADDRESS: this.targetAddress,
          PLATEAU_CHECKPOINTS: this.checkpointDirectory,
          PLATEAU_VERIFY_KEY_FILE: this.keys.publicKeyFile,
          PLATEAU_HTTP_PORT: String(this.httpPort),
          PLATEAU_GRPC_ADDRESS: this.servingAddress,
        }
    }
  }
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
