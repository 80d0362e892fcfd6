import { readFile, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { messageOf, PlateauError } from '@plateau/contracts'
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { authorizing, type Authorize } from './authorize.js'
import { Descriptors } from './descriptors.js'
import type { ReportError } from './handlers.js'
import { healthDefinition, HealthService } from './health.js'
import { reflectionService, reflectionVersions } from './reflection.js'
import { hearingRefusals, serverCredentials, type Certificates } from './transport-security.js'

export interface RpcServerOptions {
  /** "host:port" (port 0 = any free one) or "unix:/path". */
  readonly address: string
  /** TLS 1.3 with certificates on both sides. Default: plaintext; bind it to loopback or a socket file. */
  readonly tls?: Certificates | undefined
  readonly services: readonly RpcService[]
  readonly limits?: RpcLimits
  /** Whether the server can do its work now: what grpc.health.v1 answers. Default: always. */
  readonly isReady?: () => boolean
  /** An encoded FileDescriptorSet that describes `services`: the server then answers grpc.reflection. */
  readonly reflection?: Uint8Array | undefined
  /** Asked before every call but those of health and reflection. Default: everyone may call everything. */
  readonly authorize?: Authorize | undefined
  /** With `tls`: hears why somebody came no further than the handshake, as a code of Node.js. */
  readonly onRefusedHandshake?: ((reason: string) => void) | undefined
  /** Hears of defects outside the services' own handlers. */
  readonly report?: ReportError
}

export interface RpcService {
  readonly definition: ServiceDefinition
  readonly implementation: UntypedServiceImplementation
}

export interface RpcLimits {
  /** Largest message in either direction. Default 16 MiB. */
  readonly maxMessageBytes?: number
  /** Calls at once on one connection; further ones wait at the client. Default 1024. */
  readonly maxConcurrentStreams?: number
  /** A silent peer is asked for a sign of life after this long, and dropped 10 s later. Default 30 000. */
  readonly keepaliveMs?: number
  /**
   * Of a server: a connection that is this old (give or take a tenth) takes no new calls, so that clients connect again,
   * perhaps to another server behind the same name. Default: no limit.
   */
  readonly maxConnectionAgeMs?: number
  /** How long calls on such a connection may still take before they are cut off. Default: as long as they need. */
  readonly maxConnectionAgeGraceMs?: number
}

export interface RpcServer {
  /** As a client dials it, with the real port. */
  readonly address: string
  readonly health: HealthService
  /** Refuses new calls, lets the present ones finish for at most this long, then cuts them off. Idempotent. */
  drain(graceMs: number): Promise<void>
}

/** What describes health and reflection themselves; made from proto/ by buf. */
const STANDARD_SERVICES = new URL('../grpc.binpb', import.meta.url)

/** Listens and serves; the standard health service is always there. Throws ADDRESS_UNAVAILABLE. */
export async function startServer(options: RpcServerOptions): Promise<RpcServer> {
  const { address, tls, services, limits, isReady = () => true, reflection, authorize, report = () => {} } = options
  const { onRefusedHandshake = () => {} } = options
  const interceptors = authorize === undefined ? [] : [authorizing(authorize, report)]
  const server = new Server({ ...channelOptions(limits), ...ageOptions(limits), interceptors })
  const names = services.map(({ definition }) => serviceName(definition))
  const health = new HealthService(names, isReady)
  const standard = reflection === undefined ? [] : await reflectionServices(reflection, names, report)
  for (const { definition, implementation } of [...services, ...standard]) server.addService(definition, implementation)
  server.addService(healthDefinition, health.implementation)
  await removeStaleSocket(address)
  const security = tls === undefined ? undefined : serverCredentials(tls)
  const credentials = security?.credentials ?? ServerCredentials.createInsecure()
  const port = await hearingRefusals(onRefusedHandshake, () => bind(server, address, credentials)).catch(
    (error: unknown) => {
      security?.close()
      throw error
    },
  )
  let draining: Promise<void> | undefined
  return {
    address: address.startsWith('unix:') ? address : address.replace(/:\d+$/, `:${port}`),
    health,
    drain: (graceMs) => (draining ??= drain(server, health, graceMs).finally(() => security?.close())),
  }
}

/** Options that both ends share. */
export function channelOptions(limits: RpcLimits = {}): Record<string, number> {
  const { maxMessageBytes = 16 * 1024 * 1024, maxConcurrentStreams = 1024, keepaliveMs = 30_000 } = limits
  return {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': maxConcurrentStreams,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': 10_000,
  }
}

function ageOptions({ maxConnectionAgeMs, maxConnectionAgeGraceMs }: RpcLimits = {}): Record<string, number> {
  return {
    ...(maxConnectionAgeMs === undefined ? {} : { 'grpc.max_connection_age_ms': maxConnectionAgeMs }),
    ...(maxConnectionAgeGraceMs === undefined ? {} : { 'grpc.max_connection_age_grace_ms': maxConnectionAgeGraceMs }),
  }
}

/** "plateau.target.v1.TargetService" of a definition whose paths are "/plateau.target.v1.TargetService/Describe". */
function serviceName(definition: ServiceDefinition): string {
  return Object.values(definition)[0]?.path.split('/')[1] ?? ''
}

async function reflectionServices(
  image: Uint8Array,
  names: readonly string[],
  report: ReportError,
): Promise<RpcService[]> {
  const descriptors = new Descriptors([image, await readFile(STANDARD_SERVICES)])
  const standard = [
    'grpc.health.v1.Health',
    ...reflectionVersions.map((version) => `grpc.reflection.${version}.ServerReflection`),
  ]
  return reflectionVersions.map((version) => reflectionService(version, descriptors, [...names, ...standard], report))
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error) reject(unavailable(address, error))
      else resolve(port)
    })
  })
}

async function drain(server: Server, health: HealthService, graceMs: number): Promise<void> {
  health.shutDown()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown()
      resolve()
    }, graceMs)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** A killed server leaves its socket file behind, and the next bind would fail on it. A live one is left alone. */
async function removeStaleSocket(address: string): Promise<void> {
  if (!address.startsWith('unix:')) return
  const path = address.slice('unix:'.length)
  const found = await stat(path).catch(() => undefined)
  if (!found) return
  if (!found.isSocket()) throw unavailable(address, new Error(`${path} exists and is not a socket`))
  if (await answers(path)) throw unavailable(address, new Error('another process is listening there'))
  await rm(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const finish = (alive: boolean) => () => {
      socket.destroy()
      resolve(alive)
    }
    socket.once('connect', finish(true)).once('error', finish(false))
  })
}

function unavailable(address: string, cause: unknown): PlateauError {
  return new PlateauError('ADDRESS_UNAVAILABLE', `cannot listen on ${address}: ${messageOf(cause)}`, {
    facts: { address },
    cause,
  })
}
