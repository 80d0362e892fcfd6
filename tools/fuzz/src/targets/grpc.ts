import { serving, target } from '@plateau/contracts'
import fc from 'fast-check'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import type { FuzzTarget } from '../fuzz-target.js'

const TARGET = '/plateau.target.v1.TargetService'
const SERVING = '/plateau.serving.v1.ServingService'

interface Method {
  readonly port: 'targetPort' | 'servingPort'
  readonly path: string
  readonly seeds: readonly Uint8Array[]
}

const sampling = { maxTokens: 2, temperature: 1, topK: 3, topP: 0.9, seed: 1 }
const capture = { consent: false, sampleId: 's', tenant: 't', domain: 'd' }
const asked = { promptTokenIds: [1, 2, 3], sampling, capture }

const methods: readonly Method[] = [
  { port: 'targetPort', path: `${TARGET}/Describe`, seeds: [Buffer.alloc(0)] },
  {
    port: 'targetPort',
    path: `${TARGET}/Generate`,
    seeds: [target.GenerateRequest.encode(target.GenerateRequest.fromPartial(asked)).finish()],
  },
  {
    port: 'targetPort',
    path: `${TARGET}/Score`,
    seeds: [
      target.ScoreRequest.encode(
        target.ScoreRequest.fromPartial({ promptTokenIds: [1, 2], responseTokenIds: [3, 4] }),
      ).finish(),
    ],
  },
  {
    port: 'targetPort',
    path: `${TARGET}/Speculate`,
    seeds: [
      speculate({ $case: 'open', value: target.SpeculateOpen.fromPartial(asked) }),
      speculate({ $case: 'proposal', value: target.SpeculateProposal.fromPartial({ tokenIds: [1, 2] }) }),
    ],
  },
  {
    port: 'servingPort',
    path: `${SERVING}/Generate`,
    seeds: [
      serving.GenerateRequest.encode(
        serving.GenerateRequest.fromPartial({ prompt: 'The state', sampling: { maxTokens: 2 } }),
      ).finish(),
    ],
  },
  { port: 'servingPort', path: `${SERVING}/Status`, seeds: [Buffer.alloc(0)] },
  { port: 'servingPort', path: `${SERVING}/Nothing`, seeds: [Buffer.alloc(0)] },
]

function speculate(message: target.SpeculateRequest['message']): Uint8Array {
  return target.SpeculateRequest.encode({ message }).finish()
}

/** UNKNOWN, INTERNAL and DATA_LOSS are what a server answers that did not expect this. */
const UNEXPECTED = new Set([2, 13, 15])
/** What the gRPC library itself says of bytes that are no message; the code is its own. */
const NOT_A_MESSAGE = /deserializ|Compressed message|Received message larger|Unparseable|Max message size/i
const ANSWER_MS = 10_000
const LOOK_AFTER = 25

export const grpcCalls: FuzzTarget = {
  name: 'grpc',
  summary: 'messages to every method of target-model and serving: the first byte says which, then any number of frames',
  limits: { inputMs: 5000, memoryMiB: 96, inputBytes: 200_000 },
  shortRuns: 400,
  open: async () => {
    const { startServices } = await import('../services.js')
    const services = await startServices(['target-model', 'serving'])
    const sessions = new Map<number, ClientHttp2Session>()
    const sessionOf = (port: number): ClientHttp2Session => {
      const present = sessions.get(port)
      if (present !== undefined && !present.destroyed && !present.closed) return present
      const opened = connect(`http://127.0.0.1:${port}`).on('error', () => {})
      sessions.set(port, opened)
      return opened
    }
    const call = (which: number, bytes: Uint8Array) => {
      const { port, path } = methods[which % methods.length]!
      return callOnce(sessionOf(services[port]), path, bytes)
    }
    const corpus = methods.flatMap(({ seeds }, which) =>
      // One message, and all of them one after the other.
      [...seeds.map((seed) => [seed]), seeds].map((frames) =>
        Buffer.concat([Buffer.from([which]), ...frames.map(framed)]),
      ),
    )
    const field = fc
      .tuple(fc.integer({ min: 1, max: 16 }), fc.constantFrom(0, 1, 2, 5), fc.uint8Array({ maxLength: 12 }))
      .map(([number, wire, bytes]) => Buffer.from([number * 8 + wire, ...(wire === 2 ? [bytes.length] : []), ...bytes]))
    const message = fc.array(field, { maxLength: 8 }).map((fields) => framed(Buffer.concat(fields)))
    const generated = fc
      .tuple(fc.integer({ min: 0, max: methods.length - 1 }), fc.array(message, { maxLength: 4 }))
      .map(([which, frames]) => Buffer.concat([Buffer.from([which]), ...frames]))
    let count = 0
    return {
      corpus,
      generated,
      run: async (input) => {
        const { status, details } = await call(input[0] ?? 0, input.subarray(1))
        const [error] = services.takeErrors()
        if (error !== undefined) throw new Error(`the service logged an error: ${error}`)
        if (UNEXPECTED.has(status) && !NOT_A_MESSAGE.test(details))
          throw new Error(`it answered with status ${status}: ${details}`)
        if (++count % LOOK_AFTER === 0) {
          const well = await call(0, framed(Buffer.alloc(0)))
          if (well.status !== 0) throw new Error(`Describe answers with ${well.status}: ${well.details}`)
        }
        return status === 0
      },
      close: async () => {
        for (const session of sessions.values()) session.destroy()
        await services.close()
      },
    }
  },
}

/** gRPC's frame: not compressed, then the length. */
function framed(message: Uint8Array): Uint8Array {
  const length = Buffer.alloc(5)
  length.writeUInt32BE(message.length, 1)
  return Buffer.concat([length, message])
}

/** A call with these bytes as its whole body; -1 where the stream was reset without a status. */
function callOnce(session: ClientHttp2Session, path: string, body: Uint8Array) {
  const ended = Promise.withResolvers<{ readonly status: number; readonly details: string }>()
  const call = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': '5S',
  })
  const timer = setTimeout(() => {
    call.destroy()
    ended.reject(new Error(`no end of ${path} within ${ANSWER_MS / 1000} s`))
  }, ANSWER_MS)
  const take = (headers: IncomingHttpHeaders): void => {
    if (headers['grpc-status'] === undefined) return
    const details = decodeURIComponent([headers['grpc-message'] ?? ''].flat().join())
    ended.resolve({ status: Number(headers['grpc-status']), details })
  }
  call
    .on('response', take)
    .on('trailers', take)
    .on('error', () => {})
    .on('close', () => ended.resolve({ status: -1, details: 'reset' }))
    .resume()
  call.end(body)
  return ended.promise.finally(() => clearTimeout(timer))
}
