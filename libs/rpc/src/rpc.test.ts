import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError, target } from '@plateau/contracts'
import { describe, expect, it, onTestFinished } from 'vitest'
import { callBidi, callServerStream, callUnary, createClient, ready } from './client.js'
import { generateRequest, scoreRequest, serve, token, verdict } from './testing.js'

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rpc-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

describe('errors', () => {
  const call = (client: target.TargetServiceClient) => callUnary(client.score.bind(client), scoreRequest)

  it('a PlateauError arrives with its code, sentence, facts and retryable', async () => {
    const facts = { field: 'prompt_token_ids', length: 7, note: 'größer' }
    const { client, reported } = await serve({
      score: async () => {
        throw new PlateauError('RESOURCE_EXHAUSTED', 'the queue is full – try later', { facts, retryable: true })
      },
    })
    const error = await call(client).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(PlateauError)
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: 'the queue is full – try later', facts })
    expect((error as PlateauError).retryable).toBe(true)
    expect(reported).toEqual([])
  })

  it('a code that is no gRPC status keeps its name and travels as INTERNAL, or UNAVAILABLE when retryable', async () => {
    let retryable = false
    const { client, reported } = await serve({
      score: async () => {
        throw new PlateauError('LOG_ODD', 'odd', { retryable })
      },
    })
    expect(await call(client).catch((e: unknown) => e)).toMatchObject({ code: 'LOG_ODD', cause: { code: 13 } })
    retryable = true
    expect(await call(client).catch((e: unknown) => e)).toMatchObject({ code: 'LOG_ODD', cause: { code: 14 } })
    expect(reported).toMatchObject([{ code: 'LOG_ODD', retryable: false }])
  })

  it('a defect is reported at the server and tells the client nothing', async () => {
    const { client, reported } = await serve({
      score: async () => {
        throw new TypeError('secret of the implementation')
      },
    })
    const error = await call(client).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'INTERNAL', retryable: false })
    expect(String(error)).not.toContain('secret')
    expect(String(reported[0])).toContain('secret')
  })

  it('a server that is not there is UNAVAILABLE, which may pass', async () => {
    const client = createClient(target.TargetServiceClient, '127.0.0.1:1')
    onTestFinished(() => client.close())
    await expect(call(client)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true })
    await expect(ready(client, 50)).rejects.toMatchObject({ code: 'UNAVAILABLE', facts: { timeoutMs: 50 } })
  })

  it('a message above the limit is refused with RESOURCE_EXHAUSTED', async () => {
    const { client } = await serve({ score: async () => ({ window: undefined }) }, { limits: { maxMessageBytes: 100 } })
    const large = target.ScoreRequest.fromPartial({ promptTokenIds: Array<number>(1000).fill(5000) })
    await expect(callUnary(client.score.bind(client), large)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: false,
    })
  })
})

describe('streams', () => {
  it('deliver everything in order, under backpressure', async () => {
    const { client } = await serve({
      async *generate() {
        for (let i = 0; i < 5000; i++) yield token(i)
      },
    })
    const seen: number[] = []
    for await (const { tokenId } of callServerStream((...args) => client.generate(...args), generateRequest)) {
      if (seen.length === 0) await sleep(20)
      seen.push(tokenId)
    }
    expect(seen).toEqual(Array.from({ length: 5000 }, (_, i) => i))
  })

  it('an error in mid-stream comes after what was sent before it', async () => {
    const { client } = await serve({
      async *generate() {
        yield token(1)
        throw new PlateauError('ABORTED', 'enough')
      },
    })
    const stream = callServerStream((...args) => client.generate(...args), generateRequest)
    expect((await stream.next()).value).toMatchObject({ tokenId: 1 })
    await expect(stream.next()).rejects.toMatchObject({ code: 'ABORTED', message: 'enough' })
  })

  it.each(['leaving the loop', 'the signal', 'the deadline'])('%s ends the handler', async (how) => {
    const ended = Promise.withResolvers<string>()
    const { client } = await serve({
      async *generate(_, { signal }) {
        try {
          yield token(1)
          await new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          )
        } finally {
          ended.resolve('ended')
        }
      },
    })
    const abort = new AbortController()
    const settings = how === 'the deadline' ? { deadlineMs: 150 } : { signal: abort.signal }
    const stream = callServerStream((...args) => client.generate(...args), generateRequest, settings)
    await stream.next()
    if (how === 'leaving the loop') await stream.return()
    if (how === 'the signal') abort.abort()
    expect(await ended.promise).toBe('ended')
    const code = how === 'the deadline' ? 'DEADLINE_EXCEEDED' : 'CANCELLED'
    const rest = how === 'leaving the loop' ? code : await stream.next().catch((e: PlateauError) => e.code)
    expect(rest).toBe(code)
  })

  it('answer round by round in both directions until the client ends', async () => {
    const { client } = await serve({
      async *speculate(requests) {
        let rounds = 0
        for await (const request of requests) {
          yield verdict(request.message?.$case === 'proposal' ? request.message.value.tokenIds.length : 100)
          rounds++
        }
        yield verdict(1000 + rounds)
      },
    })
    const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...args) => client.speculate(...args))
    for (const tokenIds of [[1, 2, 3], [], [4]]) {
      await call.send(target.SpeculateRequest.fromPartial({ message: { $case: 'proposal', value: { tokenIds } } }))
      expect((await call.receive())?.verdict?.accepted).toBe(tokenIds.length)
    }
    call.end()
    expect((await call.receive())?.verdict?.accepted).toBe(1003)
    expect(await call.receive()).toBeUndefined()
  })

  it.each(['error', 'end'])('a handler that stops reading its requests still sends its %s', async (kind) => {
    const { client } = await serve({
      async *speculate(requests) {
        for await (const _ of requests) {
          yield verdict(0)
          if (kind === 'end') return
          throw new PlateauError('RESOURCE_EXHAUSTED', 'no room for the next round')
        }
      },
    })
    const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...args) => client.speculate(...args), {
      deadlineMs: 5_000,
    })
    await call.send({ message: undefined })
    await call.receive()
    const next = await call.receive().catch((error: PlateauError) => error.code)
    expect(next).toBe(kind === 'end' ? undefined : 'RESOURCE_EXHAUSTED')
  })

  it('a client that goes away frees a handler that waits for its next request', async () => {
    const ended = Promise.withResolvers<unknown>()
    const { client, reported } = await serve({
      async *speculate(requests) {
        try {
          for await (const _ of requests) yield verdict(0)
        } finally {
          ended.resolve('ended')
        }
      },
    })
    const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...args) => client.speculate(...args))
    await call.send({ message: undefined })
    await call.receive()
    call.cancel()
    expect(await ended.promise).toBe('ended')
    await expect(call.receive()).rejects.toMatchObject({ code: 'CANCELLED' })
    // Sending into a dead call is no error of its own.
    await call.send({ message: undefined })
    expect(reported).toEqual([])
  })
})

describe('a server', () => {
  it('takes over the socket file of one that was killed, and refuses one in use', async () => {
    const address = `unix:${await temporaryFolder()}/target.sock`
    const stale = createServer().listen(address.slice(5))
    await new Promise((resolve) => stale.once('listening', resolve))
    await expect(serve({}, { address })).rejects.toMatchObject({ code: 'ADDRESS_UNAVAILABLE', facts: { address } })
    await new Promise((resolve) => stale.close(resolve))
    // What kill -9 leaves: a socket file that nobody listens on. close() removed the real one.
    const child = await import('node:child_process')
    child.spawnSync(process.execPath, [
      '-e',
      `require('node:net').createServer().listen(${JSON.stringify(address.slice(5))}, () => process.kill(process.pid, 'SIGKILL'))`,
    ])
    const { client } = await serve({ score: async () => ({ window: undefined }) }, { address })
    await expect(callUnary(client.score.bind(client), scoreRequest)).resolves.toEqual({ window: undefined })
  })

  it('does not delete a file that is no socket', async () => {
    const path = join(await temporaryFolder(), 'notes.txt')
    await writeFile(path, 'mine')
    await expect(serve({}, { address: `unix:${path}` })).rejects.toThrow('not a socket')
  })

  it('lets calls finish while draining, refuses new ones, and cuts off what outlasts the grace', async () => {
    const started = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const { server, client } = await serve({
      score: async () => {
        started.resolve()
        await release.promise
        return { window: undefined }
      },
      async *generate(_, { signal }) {
        yield token(1)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    })
    const stuck = callServerStream((...args) => client.generate(...args), generateRequest)
    await stuck.next()
    const inFlight = callUnary(client.score.bind(client), scoreRequest)
    await started.promise
    const drained = server.drain(300)
    release.resolve()
    await expect(inFlight).resolves.toEqual({ window: undefined })
    await expect(stuck.next()).rejects.toBeInstanceOf(PlateauError)
    await drained
    await expect(callUnary(client.score.bind(client), scoreRequest)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    })
  })
})
