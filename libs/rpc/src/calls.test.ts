import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError, target } from '@plateau/contracts'
import { describe, expect, it, onTestFinished } from 'vitest'
import { callBidi, callServerStream, callUnary, createClient } from './client.js'
import { generateRequest, scoreRequest, serve, token, verdict } from './testing.js'
import { rawCall } from './testing-http2.js'

const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))

describe("a call's deadline", () => {
  const encoded = target.GenerateRequest.encode(generateRequest).finish()
  const path = '/plateau.target.v1.TargetService/Generate'

  it('aborts the handler and answers DEADLINE_EXCEEDED, though the client does nothing', async () => {
    const reason = Promise.withResolvers<unknown>()
    const { server } = await serve({
      async *generate(_, { signal }) {
        yield token(1)
        reason.resolve(await aborted(signal))
      },
    })
    const call = rawCall(server.address, path, encoded, '200m')
    expect(await call.status()).toBe('4')
    expect(await reason.promise).toBeInstanceOf(PlateauError)
  })

  it('aborts a handler whose client has stopped reading', async () => {
    const ended = Promise.withResolvers<string>()
    const large = target.GenerateResponse.fromPartial({
      logprobs: { topIds: Array.from({ length: 30_000 }, () => 1e6) },
    })
    const { server } = await serve({
      async *generate(_, { signal }) {
        const passed = aborted(signal)
        try {
          for (;;) yield large
        } finally {
          ended.resolve(((await passed) as PlateauError).code)
        }
      },
    })
    rawCall(server.address, path, encoded, '300m')
    expect(await ended.promise).toBe('DEADLINE_EXCEEDED')
  })

  it('is there also when the caller names none', async () => {
    const deadline = Promise.withResolvers<number>()
    const { client } = await serve({ score: async () => ({ window: undefined }) })
    const before = Date.now()
    await callUnary<target.ScoreRequest, target.ScoreResponse>((request, metadata, options, callback) => {
      deadline.resolve(Number(options.deadline))
      return client.score(request, metadata, options, callback)
    }, scoreRequest)
    expect((await deadline.promise) - before).toBeGreaterThanOrEqual(60_000)
    expect(await deadline.promise).toBeLessThan(Number.POSITIVE_INFINITY)
  })

  it('lets go of its timer when the handler ends', async () => {
    const { client } = await serve({ score: async () => ({ window: undefined }) })
    await callUnary(client.score.bind(client), scoreRequest, { deadlineMs: 3_600_000 })
    const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    for (let i = 0; i < 20; i++) await callUnary(client.score.bind(client), scoreRequest, { deadlineMs: 3_600_000 })
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBeLessThan(timers + 20)
  })
})

describe('backpressure', () => {
  it('a client that reads slowly stops the handler, and then gets everything in order', async () => {
    let produced = 0
    const total = 2000
    const topIds = Array.from({ length: 8000 }, () => 1e6)
    const { client } = await serve({
      async *generate() {
        for (; produced < total; produced++)
          yield target.GenerateResponse.fromPartial({ tokenId: produced, logprobs: { topIds } })
      },
    })
    const stream = callServerStream((...args) => client.generate(...args), generateRequest)
    expect((await stream.next()).value).toMatchObject({ tokenId: 0 })
    for (let before = -1; before !== produced; await sleep(100)) before = produced
    // 24 KB a message; what is under way is bounded by the transport's windows.
    expect(produced).toBeLessThan(total / 10)
    let next = 1
    for await (const { tokenId } of stream) expect(tokenId).toBe(next++)
    expect(next).toBe(total)
  })
})

describe('limits', () => {
  it('a message above the limit is refused, and the next one is served', async () => {
    const { client } = await serve(
      { score: async () => ({ window: undefined }) },
      { limits: { maxMessageBytes: 1000 } },
    )
    const large = target.ScoreRequest.fromPartial({ promptTokenIds: Array.from({ length: 2000 }, () => 1e6) })
    await expect(callUnary(client.score.bind(client), large)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' })
    await expect(callUnary(client.score.bind(client), scoreRequest)).resolves.toEqual({ window: undefined })
  })

  it('calls above the limit of a connection wait their turn', async () => {
    let running = 0
    let most = 0
    const { client } = await serve(
      {
        score: async () => {
          most = Math.max(most, ++running)
          await sleep(10)
          running--
          return { window: undefined }
        },
      },
      { limits: { maxConcurrentStreams: 2 } },
    )
    // The limit is the server's to announce: a call before its settings have come may overtake them.
    await callUnary(client.score.bind(client), scoreRequest)
    await Promise.all(Array.from({ length: 12 }, () => callUnary(client.score.bind(client), scoreRequest)))
    expect(most).toBe(2)
  })

  it('an old connection takes no new calls: clients connect again, and no call fails', async () => {
    const { server } = await serve(
      {
        score: async () => ({ window: undefined }),
        async *generate(_, { signal }) {
          yield token(1)
          await Promise.race([aborted(signal), done.promise])
          yield token(2)
        },
      },
      { limits: { maxConnectionAgeMs: 50 } },
    )
    const done = Promise.withResolvers<void>()
    const proxy = await countingProxy(server.address)
    const client = createClient(target.TargetServiceClient, proxy.address)
    onTestFinished(() => client.close())
    const long = callServerStream((...args) => client.generate(...args), generateRequest)
    await long.next()
    for (; proxy.connections() < 3; await sleep(5)) await callUnary(client.score.bind(client), scoreRequest)
    done.resolve()
    expect((await long.next()).value).toMatchObject({ tokenId: 2 })
    expect((await long.next()).done).toBe(true)
  })

  it('a call that outlasts the grace of an old connection is cut off', async () => {
    const { client } = await serve(
      {
        async *generate(_, { signal }) {
          yield token(1)
          await aborted(signal)
        },
      },
      { limits: { maxConnectionAgeMs: 20, maxConnectionAgeGraceMs: 50 } },
    )
    const stream = callServerStream((...args) => client.generate(...args), generateRequest)
    await stream.next()
    await expect(stream.next()).rejects.toMatchObject({ retryable: true })
  })
})

describe('what a caller sends along', () => {
  it('reaches the handler by name', async () => {
    const seen: unknown[] = []
    const { client } = await serve({
      score: async (_, { metadata }) => {
        seen.push(metadata('authorization'), metadata('absent'))
        return { window: undefined }
      },
    })
    await callUnary(client.score.bind(client), scoreRequest, { metadata: { authorization: 'Bearer k' } })
    expect(seen).toEqual(['Bearer k', undefined])
  })
})

/** In front of a server, it counts the connections that clients make. */
async function countingProxy(address: string) {
  const [host, port] = address.split(':')
  const sockets: Socket[] = []
  let connections = 0
  const proxy = createServer((near) => {
    connections++
    const far = connect(Number(port), host)
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) sockets.push(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  return { address: `127.0.0.1:${(proxy.address() as AddressInfo).port}`, connections: () => connections }
}

it('thousands of calls that are over, read to their end or finished, leave the connection open', async () => {
  // A server closes the connection of a client that resets more than 1,000 streams, and 33 more each second.
  const { client } = await serve({
    async *generate() {
      yield token(1)
    },
    async *speculate(requests) {
      for await (const _ of requests) {
        yield verdict(0)
        return
      }
    },
  })
  const once = async (): Promise<void> => {
    const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...args) => client.speculate(...args))
    await call.send(target.SpeculateRequest.fromPartial({}))
    expect(await call.receive()).toEqual(verdict(0))
    call.finish()
    const tokens: target.GenerateResponse[] = []
    for await (const one of callServerStream<target.GenerateRequest, target.GenerateResponse>(
      (...args) => client.generate(...args),
      generateRequest,
    ))
      tokens.push(one)
    expect(tokens).toEqual([token(1)])
  }
  for (let i = 0; i < 150; i++) await Promise.all(Array.from({ length: 10 }, once))
})

it('a call that is finished and not ended by its server is cancelled after a while', async () => {
  const reason = Promise.withResolvers<unknown>()
  const { client } = await serve({
    async *speculate(_, { signal }) {
      yield verdict(0)
      reason.resolve(await aborted(signal))
    },
  })
  const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...args) => client.speculate(...args))
  await call.receive()
  call.finish()
  expect(await reason.promise).toMatchObject({ code: 'CANCELLED' })
}, 10_000)
