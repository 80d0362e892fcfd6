/**
 * The standard grpc.health.v1 service, by hand: two messages of one field each. Kubernetes' gRPC probes, grpcurl and
 * load balancers ask it. The service name '' stands for the whole server.
 */
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'

/** An object even when its field is empty: grpc-js takes a falsy message for none. */
interface HealthCheckRequest {
  readonly service: string
}

export type ServingStatus = 'serving' | 'not-serving'

/** HealthCheckResponse.ServingStatus */
const WIRE = { serving: 1, 'not-serving': 2, 'service-unknown': 3 } as const
type WireStatus = keyof typeof WIRE

const method = {
  requestSerialize: ({ service }: HealthCheckRequest) => encodeService(service),
  requestDeserialize: (bytes: Buffer) => ({ service: decodeService(bytes) }),
  responseSerialize: (value: WireStatus) => Buffer.from([0x08, WIRE[value]]),
  responseDeserialize: (bytes: Buffer) => decodeStatus(bytes),
}

export const healthDefinition = {
  check: { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, ...method },
  watch: { path: '/grpc.health.v1.Health/Watch', requestStream: false, responseStream: true, ...method },
} as const

export class HealthService {
  readonly #states = new Map<string, ServingStatus>([['', 'serving']])
  readonly #watchers = new Set<{ service: string; call: ServerWritableStream<HealthCheckRequest, WireStatus> }>()

  set(service: string, state: ServingStatus): void {
    this.#states.set(service, state)
    for (const watcher of this.#watchers) if (watcher.service === service) watcher.call.write(state)
  }

  /** Says not-serving for everything and lets go of the watchers, which would hold a draining server open. */
  shutDown(): void {
    for (const service of this.#states.keys()) this.set(service, 'not-serving')
    for (const { call } of this.#watchers) call.end()
    this.#watchers.clear()
  }

  readonly implementation: UntypedServiceImplementation = {
    check: (call: ServerUnaryCall<HealthCheckRequest, WireStatus>, callback: sendUnaryData<WireStatus>) => {
      const state = this.#states.get(call.request.service)
      if (state) callback(null, state)
      else callback({ code: status.NOT_FOUND, details: `no health status for service "${call.request.service}"` })
    },
    watch: (call: ServerWritableStream<HealthCheckRequest, WireStatus>) => {
      const watcher = { service: call.request.service, call }
      this.#watchers.add(watcher)
      call.on('cancelled', () => this.#watchers.delete(watcher))
      call.write(this.#states.get(call.request.service) ?? 'service-unknown')
    },
  }
}

/** Field 1, length-delimited. Service names here are short: one byte of length would do, a varint is the format. */
function encodeService(service: string): Buffer {
  const name = Buffer.from(service)
  if (name.length > 127) throw new RangeError('service name longer than 127 bytes')
  return name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name])
}

function decodeService(bytes: Buffer): string {
  if (bytes.length === 0) return ''
  const length = bytes[1] ?? 128
  if (bytes[0] !== 0x0a || length > 127 || bytes.length !== length + 2) {
    throw new RangeError('not a HealthCheckRequest with a name of at most 127 bytes')
  }
  return bytes.toString('utf8', 2)
}

function decodeStatus(bytes: Buffer): WireStatus {
  if (bytes[1] === WIRE.serving) return 'serving'
  return bytes[1] === WIRE['not-serving'] ? 'not-serving' : 'service-unknown'
}
