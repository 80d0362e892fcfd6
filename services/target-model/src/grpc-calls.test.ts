/** How calls end and wait over the wire: places, cancellation, deadlines, slow readers. */
import { PlateauError, target } from '@plateau/contracts'
import { callBidi, callServerStream, createClient, startServer, type RpcServer } from '@plateau/rpc'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { grpcTargetService } from './grpc-service.js'
import { loadTiny, sampled, type Loaded } from './testing.js'

let tiny: Loaded
let server: RpcServer
let client: target.TargetServiceClient
/** Room for responses that outgrow every buffer between target and reader. */
const length = 6000
beforeAll(async () => {
  tiny = await loadTiny({ maxSequences: 2, maxWaiting: 0, maxPositions: 8192, topK: 24 })
  const report = (error: unknown): void => expect.unreachable(String(error))
  server = await startServer({
    address: '127.0.0.1:0',
    services: [grpcTargetService(tiny.calls, tiny.metrics, report)],
  })
  client = createClient(target.TargetServiceClient, server.address)
})
afterAll(async () => {
  client.close()
  await server.drain(1000)
  await tiny.close()
})

const request = (maxTokens: number): target.GenerateRequest => ({
  promptTokenIds: [5, 2, 11],
  sampling: sampled({ maxTokens, logprobs: 21 }),
  capture: undefined,
})
const generate = (maxTokens: number, settings: { deadlineMs?: number; signal?: AbortSignal } = {}) =>
  callServerStream((...args) => client.generate(...args), request(maxTokens), settings)

async function count(messages: AsyncIterable<unknown>): Promise<number> {
  let messagesRead = 0
  for await (const _ of messages) messagesRead++
  return messagesRead
}

/** Between two turns of the event loop, in which the server works as well. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

const active = () => tiny.metrics.sequences.value({ state: 'active' })
const emitted = () => tiny.metrics.tokens.value({ method: 'generate' }) ?? 0
const ended = (code: string) => tiny.metrics.requests.value({ method: 'generate', code }) ?? 0

describe('a place is given back at once', () => {
  it('when a client cancels Generate in the middle', async () => {
    const before = emitted()
    const abort = new AbortController()
    const cancelledBefore = ended('CANCELLED')
    const reading = count(generate(length, { signal: abort.signal })).catch((error: unknown) => error)
    await until(() => emitted() > before + 3)
    abort.abort()
    expect(await reading).toMatchObject({ code: 'CANCELLED' })
    await until(() => active() === 0)
    expect(tiny.target.decoder.openSequences).toBe(0)
    expect(emitted() - before).toBeLessThan(length)
    await until(() => ended('CANCELLED') === cancelledBefore + 1)
  })

  it('when a reader leaves its loop', async () => {
    for await (const _ of generate(length)) break
    await until(() => active() === 0)
    expect(tiny.target.decoder.openSequences).toBe(0)
  })

  it('when a deadline passes, while it decodes and while nobody reads', async () => {
    const slow = generate(length, { deadlineMs: 300 })
    await slow.next()
    await expect(count(generate(length, { deadlineMs: 300 }))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await until(() => active() === 0)
    expect(tiny.target.decoder.openSequences).toBe(0)
    await expect(count(slow)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
  })

  it('when a client of Speculate is gone, whatever it had asked for', async () => {
    const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...args) => client.speculate(...args))
    const open = target.SpeculateOpen.fromPartial({ promptTokenIds: [5], sampling: sampled({ maxTokens: length }) })
    const proposal = target.SpeculateProposal.fromPartial({ plainRounds: 64 })
    await call.send({ message: { $case: 'open', value: open } })
    await call.send({ message: { $case: 'proposal', value: proposal } })
    await call.receive()
    await call.receive()
    call.cancel()
    await until(() => active() === 0)
    expect(tiny.target.decoder.openSequences).toBe(0)
  })

  it('so that the next response needs no luck: with one place taken others keep theirs', async () => {
    const abort = new AbortController()
    const first = generate(length, { signal: abort.signal })
    const second = generate(length)
    await Promise.all([first.next(), second.next()])
    await expect(generate(1).next()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' })
    abort.abort()
    await until(() => active() === 1)
    expect(await count(generate(20))).toBe(20)
    await second.return(undefined)
    await until(() => active() === 0)
  })
})

describe('a slow reader of Generate', () => {
  it('makes the target wait, holds nobody else up, and misses nothing', async () => {
    const before = emitted()
    const slow = generate(length)
    await slow.next()
    // Whole responses of others, until during one of them the slow one has not come on at all.
    let others = 0
    const ofSlow = () => emitted() - before - others
    for (let last = -1; ofSlow() !== last;) {
      last = ofSlow()
      others += await count(generate(200))
    }
    expect(ofSlow()).toBeGreaterThan(1)
    expect(ofSlow()).toBeLessThan(length / 2)
    expect(active()).toBe(1)
    expect(await count(slow)).toBe(length - 1)
    expect(ofSlow()).toBe(length)
  })

  it('may leave while the target waits for it', async () => {
    const before = emitted()
    const abort = new AbortController()
    const slow = generate(length, { signal: abort.signal })
    await slow.next()
    for (let last = -1; emitted() - before !== last;) {
      last = emitted() - before
      for (let turn = 0; turn < 2000; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    abort.abort()
    await until(() => active() === 0)
    expect(tiny.target.decoder.openSequences).toBe(0)
    await expect(count(slow)).rejects.toBeInstanceOf(PlateauError)
  })
})
