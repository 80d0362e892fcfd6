import { mergeConfigs, type Config, type Fields } from '@plateau/config'
import { consoleService } from '@plateau/console'
import { commonConfig, startService, type ServiceSpec, type StartedService } from '@plateau/service-kit'
import { servingConfig, startServing } from '@plateau/serving'
import { targetModel } from '@plateau/target-model'
import { silentLogger, type LogFields } from '@plateau/telemetry'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { repositoryFile } from './repository.js'

/** Real services in this process, on a log in files and the smallest of the repository's models. */
export interface Services {
  readonly httpPort: number
  readonly consolePort: number
  readonly targetPort: number
  readonly servingPort: number
  /** What a service logged as an error since the last call: what it did not expect. */
  readonly takeErrors: () => string[]
  readonly close: () => Promise<void>
}

export async function startServices(names: readonly ('target-model' | 'serving' | 'console')[]): Promise<Services> {
  const root = await mkdtemp(join(tmpdir(), 'plateau-fuzz-'))
  await mkdir(join(root, 'checkpoints'))
  const [httpPort, consolePort, targetPort, servingPort, adminPort] = await freePorts(5)
  const errors: string[] = []
  const logger = {
    ...silentLogger,
    error: (message: string, fields?: LogFields) => void errors.push(`${message}: ${String(fields?.['error'])}`),
  }
  const common = { PLATEAU_EVENT_LOG: `embedded:${join(root, 'log')}`, PLATEAU_DRAIN_SECONDS: '2' }
  const model = repositoryFile('models/tiny-target')
  const started: StartedService[] = []
  const start = async <F extends Fields>(spec: ServiceSpec<F>, environment: Record<string, string>) => {
    const schema = mergeConfigs(commonConfig(0), spec.config as Config<Fields>)
    started.push(await startService(spec, schema.parse({ ...common, ...environment }) as never, { logger }))
  }
  const close = async (): Promise<void> => {
    for (const service of started.toReversed()) await service.stop()
    await rm(root, { recursive: true, force: true })
  }
  try {
    if (names.includes('target-model')) {
      await start(targetModel, {
        PLATEAU_MODEL: model,
        PLATEAU_TARGET_ADDRESS: `127.0.0.1:${targetPort}`,
        PLATEAU_THREADS: '1',
        PLATEAU_MODEL_CACHE: join(root, 'cache'),
        PLATEAU_CACHE_BYTES: '64MiB',
      })
    }
    if (names.includes('serving')) {
      const serving = { name: 'serving', config: servingConfig, opsPort: 0, start: startServing }
      await start(serving as unknown as ServiceSpec<Fields>, {
        PLATEAU_MODEL: model,
        PLATEAU_TARGET_ADDRESS: `127.0.0.1:${targetPort}`,
        PLATEAU_SPECULATION: 'off',
        PLATEAU_CHECKPOINTS: join(root, 'checkpoints'),
        PLATEAU_HTTP_PORT: String(httpPort),
        PLATEAU_GRPC_ADDRESS: `127.0.0.1:${servingPort}`,
        PLATEAU_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
        PLATEAU_CAPTURE: 'all',
        // What is right is answered soon.
        PLATEAU_MAX_TOKENS: '4',
        PLATEAU_MAX_CONCURRENT: '4',
        PLATEAU_MAX_WAITING: '4',
        PLATEAU_MAX_BODY_BYTES: '64KiB',
        PLATEAU_CLIENT_STALL_SECONDS: '2',
      })
      await untilReady(`http://127.0.0.1:${httpPort}/health`)
    }
    if (names.includes('console')) {
      await start(consoleService, {
        PLATEAU_CONSOLE_PORT: String(consolePort),
        PLATEAU_CHECKPOINTS: join(root, 'checkpoints'),
      })
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    httpPort: httpPort!,
    consolePort: consolePort!,
    targetPort: targetPort!,
    servingPort: servingPort!,
    takeErrors: () => errors.splice(0),
    close,
  }
}

async function untilReady(url: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const response = await fetch(url).catch(() => undefined)
    await response?.arrayBuffer()
    if (response?.ok === true) return
    if (tries > 600) throw new Error(`${url} did not become ready`)
    await sleep(50)
  }
}

/** Ports that were free a moment ago, all held at once so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
