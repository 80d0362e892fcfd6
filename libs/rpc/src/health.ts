/**
 * The standard grpc.health.v1 service (proto/grpc/health/v1). Kubernetes' gRPC probes, grpcurl and load balancers ask it.
 * The name '' stands for the whole server; every service has its own name beside it. Both follow readiness.
 */
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'
import { field, readFields, textOf } from './wire.js'

/** An object even when its field is empty: grpc-js takes a falsy message for none. */
interface HealthCheckRequest {
  readonly service: string
}

/** HealthCheckResponse.ServingStatus */
const WIRE = { serving: 1, 'not-serving': 2, 'service-unknown': 3 } as const
export type ServingStatus = keyof typeof WIRE

const method = {
  requestSerialize: ({ service }: HealthCheckRequest) => (service === '' ? Buffer.alloc(0) : field(1, service)),
  requestDeserialize: (bytes: Buffer): HealthCheckRequest => ({ service: textOf(readFields(bytes), 1) }),
  responseSerialize: (value: ServingStatus) => field(1, WIRE[value]),
  responseDeserialize: (bytes: Buffer) => statusOf(readFields(bytes).find(({ number }) => number === 1)?.value),
}

export const healthDefinition = {
  check: { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, ...method },
  watch: { path: '/grpc.health.v1.Health/Watch', requestStream: false, responseStream: true, ...method },
} as const

/** How often readiness is looked at while somebody watches. */
const LOOK_MS = 200

interface Watcher {
  readonly service: string
  readonly call: ServerWritableStream<HealthCheckRequest, ServingStatus>
  said: ServingStatus
}

export class HealthService {
  readonly #services: ReadonlySet<string>
  readonly #isReady: () => boolean
  readonly #watchers = new Set<Watcher>()
  #looking: NodeJS.Timeout | undefined
  #isShutDown = false

  /** @param services names beside '' */
  constructor(services: readonly string[], isReady: () => boolean) {
    this.#services = new Set(['', ...services])
    this.#isReady = isReady
  }

  /** Tells the watchers at once what else they would hear within 200 ms. */
  refresh(): void {
    for (const watcher of this.#watchers) {
      const state = this.#stateOf(watcher.service)
      if (state === watcher.said) continue
      watcher.said = state
      watcher.call.write(state)
    }
  }

  /** Says not-serving for everything and lets go of the watchers, which would hold a draining server open. */
  shutDown(): void {
    this.#isShutDown = true
    this.refresh()
    for (const watcher of this.#watchers) {
      watcher.call.end()
      this.#forget(watcher)
    }
  }

  readonly implementation: UntypedServiceImplementation = {
    check: (call: ServerUnaryCall<HealthCheckRequest, ServingStatus>, callback: sendUnaryData<ServingStatus>) => {
      const state = this.#stateOf(call.request.service)
      if (state !== 'service-unknown') return callback(null, state)
      callback({ code: status.NOT_FOUND, details: `no health status for service "${call.request.service}"` })
    },
    watch: (call: ServerWritableStream<HealthCheckRequest, ServingStatus>) => {
      const watcher = { service: call.request.service, call, said: this.#stateOf(call.request.service) }
      call.write(watcher.said)
      if (this.#isShutDown) return call.end()
      this.#watchers.add(watcher)
      this.#looking ??= setInterval(() => this.refresh(), LOOK_MS).unref()
      call.on('cancelled', () => this.#forget(watcher))
    },
  }

  #stateOf(service: string): ServingStatus {
    if (!this.#services.has(service)) return 'service-unknown'
    return !this.#isShutDown && this.#isReady() ? 'serving' : 'not-serving'
  }

  #forget(watcher: Watcher): void {
    this.#watchers.delete(watcher)
    if (this.#watchers.size > 0) return
    clearInterval(this.#looking)
    this.#looking = undefined
  }
}

function statusOf(number: unknown): ServingStatus {
  if (number === WIRE.serving) return 'serving'
  return number === WIRE['not-serving'] ? 'not-serving' : 'service-unknown'
}
