/** The service as a process would run it, over gRPC, with the embedded event log. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mergeConfigs } from '@plateau/config'
import { decodeHeaders, target, TokenWindow, topics } from '@plateau/contracts'
import type { EventLog, Producer } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { callBidi, callServerStream, callUnary, createClient } from '@plateau/rpc'
import { commonConfig, startService } from '@plateau/service-kit'
import { silentLogger } from '@plateau/telemetry'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { targetModel } from './service.js'
import { consent, greedy, sampled, writeTinyModel } from './testing.js'

const cleanups: (() => unknown)[] = []
let model: string
beforeEach(async () => {
  const { directory, remove } = await writeTinyModel()
  model = directory
  cleanups.push(remove)
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function logDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'target-log-'))
  cleanups.push(() => rm(directory, { recursive: true }))
  return directory
}

async function openLog(directory?: string): Promise<EventLog> {
  const log = openEmbeddedEventLog(directory ?? (await logDirectory()))
  await log.ensureTopics(Object.values(topics))
  return log
}

async function start(settings: Record<string, string>, eventLog: EventLog) {
  const socket = `${model}/target.sock`
  const config = mergeConfigs(commonConfig(0), targetModel.config).parse({
    PLATEAU_MODEL: model,
    PLATEAU_THREADS: '1',
    PLATEAU_MODEL_CACHE: `${model}/built`,
    PLATEAU_TARGET_ADDRESS: '127.0.0.1:0',
    ...settings,
  })
  const address = `unix:${socket}`
  const service = await startService(targetModel, { ...config, address }, { logger: silentLogger, eventLog })
  cleanups.push(() => service.stop())
  const client = createClient(target.TargetServiceClient, address)
  cleanups.push(() => client.close())
  return { service, client }
}

const request = (change: Partial<target.GenerateRequest> = {}): target.GenerateRequest => ({
  promptTokenIds: [5, 2, 11],
  sampling: sampled({ maxTokens: 40 }),
  capture: undefined,
  ...change,
})

async function tokensOf(client: target.TargetServiceClient, generate: target.GenerateRequest): Promise<number[]> {
  const tokens: number[] = []
  for await (const { tokenId } of callServerStream((...args) => client.generate(...args), generate))
    tokens.push(tokenId)
  return tokens
}

async function published(log: EventLog): Promise<TokenWindow[]> {
  const reader = log.reader({ topic: topics.tokenDistributions.name, from: 'earliest' })
  void reader.caughtUp.then(() => reader.close())
  const windows: TokenWindow[] = []
  for await (const { records } of reader) {
    for (const { value, headers, key } of records) {
      const window = TokenWindow.decode(value!)
      expect(key).toBe(window.sampleId)
      expect(decodeHeaders(headers)!.id).toBe(`window:${window.sampleId}:${window.windowIndex}`)
      windows.push(window)
    }
  }
  return windows
}

const metricsOf = async (opsUrl: string): Promise<string> => (await fetch(`${opsUrl}/metrics`)).text()

describe('the service', () => {
  it('describes the model, decodes, and leaves every consented window in the log before it stops', async () => {
    const directory = await logDirectory()
    const { service, client } = await start({ PLATEAU_WINDOW_POSITIONS: '16' }, await openLog(directory))
    const described = await callUnary(client.describe.bind(client), {})
    expect(described).toMatchObject({
      vocabSize: 24,
      hiddenSize: 16,
      maxContext: 96,
      eosTokenIds: [23],
      maxConcurrent: 8,
    })
    expect(described.targetFingerprint).toMatch(/^[0-9a-f]{64}$/)

    const responses = await Promise.all(
      Array.from({ length: 6 }, (_, i) => tokensOf(client, request({ capture: consent(`sample-${i}`) }))),
    )
    expect(responses.every(({ length }) => length === 40)).toBe(true)
    const metrics = await metricsOf(service.opsUrl)
    expect(metrics).toMatch(/plateau_target_tokens_total{[^}]*method="generate"[^}]*} 240/)
    // One prompt of 3 tokens and 39 steps each, several of them together.
    const numberOf = (name: string) => Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm').exec(metrics)![1])
    expect(numberOf('plateau_target_run_tokens_total')).toBe(6 * (3 + 39))
    expect(numberOf('plateau_target_run_sequences_sum')).toBe(6 * (1 + 39))
    expect(numberOf('plateau_target_run_sequences_count')).toBeLessThan((6 * (1 + 39)) / 2)
    expect(metrics).toMatch(/plateau_target_cache_bytes{[^}]*state="budget"[^}]*} 1073741824/)
    // Six responses of 40 positions: windows of 16, 16 and 8.
    expect(await service.stop()).toBe(0)
    const log = await openLog(directory)
    const windows = await published(log)
    await log.close()
    expect(windows).toHaveLength(18)
    for (let i = 0; i < 6; i++) {
      const mine = windows.filter(({ sampleId }) => sampleId === `sample-${i}`)
      expect(mine.flatMap(({ tokenIds }) => tokenIds)).toEqual(responses[i])
      expect(mine.map(({ last }) => last)).toEqual([false, false, true])
    }
  })

  it('lets a response in flight finish while it drains, and its windows reach the log', async () => {
    const directory = await logDirectory()
    const { service, client } = await start({}, await openLog(directory))
    const responding = callServerStream((...args) => client.generate(...args), request({ capture: consent('late') }))
    const tokens = [(await responding.next()).value!.tokenId]
    const stopped = service.stop()
    for await (const { tokenId } of responding) tokens.push(tokenId)
    expect(tokens).toHaveLength(40)
    expect(await stopped).toBe(0)
    const log = await openLog(directory)
    expect((await published(log)).flatMap(({ tokenIds }) => tokenIds)).toEqual(tokens)
    await log.close()
  })

  it('speculates over the wire as it decodes', async () => {
    const { client } = await start({}, await openLog())
    const plain = await tokensOf(client, request({ sampling: greedy({ maxTokens: 20 }) }))
    const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...args) => client.speculate(...args))
    const open = target.SpeculateOpen.fromPartial({ promptTokenIds: [5, 2, 11], sampling: greedy({ maxTokens: 20 }) })
    await call.send({ message: { $case: 'open', value: open } })
    const tokens: number[] = []
    for (let proposed: number[] = []; ;) {
      const received = await call.receive()
      if (!received) break
      const { accepted, nextTokenId } = received.verdict!
      tokens.push(...proposed.slice(0, accepted), ...(nextTokenId === undefined ? [] : [nextTokenId]))
      proposed = plain.slice(tokens.length, tokens.length + 3)
      const value = target.SpeculateProposal.fromPartial({ tokenIds: proposed })
      await call.send({ message: { $case: 'proposal', value } })
    }
    expect(tokens).toEqual(plain)
  })

  it('sheds windows, and fails no request, when the log takes nothing', async () => {
    const log = await openLog()
    const stuck: Producer = {
      bytesInFlight: 0,
      send: () => new Promise(() => {}),
      flush: () => new Promise(() => {}),
      close: async () => {},
    }
    const { service, client } = await start(
      { PLATEAU_CAPTURE_QUEUE_BYTES: '4KiB', PLATEAU_WINDOW_POSITIONS: '8', PLATEAU_DRAIN_SECONDS: '1' },
      { ...log, ensureTopics: (specs) => log.ensureTopics(specs), producer: () => stuck, close: () => log.close() },
    )
    const responses = await Promise.all(
      Array.from({ length: 5 }, (_, i) => tokensOf(client, request({ capture: consent(`sample-${i}`) }))),
    )
    expect(responses.every(({ length }) => length === 40)).toBe(true)
    const metrics = await metricsOf(service.opsUrl)
    expect(Number(/plateau_target_windows_captured_total\S* (\d+)/.exec(metrics)![1])).toBe(25)
    expect(Number(/windows_shed_total{[^}]*queue_full[^}]*} (\d+)/.exec(metrics)![1])).toBeGreaterThan(15)
    expect(Number(/capture_queue_bytes\S* (\d+)/.exec(metrics)![1])).toBeLessThanOrEqual(4096)
    // It stops in time although the log still hangs.
    expect(await service.stop()).toBe(0)
  })

  it('shows windows to the redaction module before it publishes them, and counts what it kept back', async () => {
    const directory = await logDirectory()
    const path = join(model, 'redact.mjs')
    await writeFile(
      path,
      'export default (window, { text }) => (text(window.tokenIds).includes("b") ? undefined : window)',
    )
    const { service, client } = await start(
      { PLATEAU_REDACTION_MODULE: path, PLATEAU_WINDOW_POSITIONS: '4' },
      await openLog(directory),
    )
    const tokens = await tokensOf(client, request({ capture: consent('sample') }))
    const b = 1
    const kept = Array.from({ length: 10 }, (_, i) => tokens.slice(4 * i, 4 * i + 4)).filter((ids) => !ids.includes(b))
    expect(kept.length).toBeGreaterThan(0)
    expect(kept.length).toBeLessThan(10)
    const dropped = async () =>
      /plateau_capture_redacted_total{[^}]*dropped[^}]*} (\d+)/.exec(await metricsOf(service.opsUrl))
    while (Number((await dropped())?.[1]) !== 10 - kept.length) await sleep(5)
    expect(await service.stop()).toBe(0)
    const log = await openLog(directory)
    expect((await published(log)).map(({ tokenIds }) => tokenIds)).toEqual(kept)
    await log.close()
  })

  it('does not start with a redaction module that redacts nothing', async () => {
    const path = join(model, 'empty.mjs')
    await writeFile(path, 'export const redact = 1')
    await expect(start({ PLATEAU_REDACTION_MODULE: path }, await openLog())).rejects.toMatchObject({
      code: 'REDACTION_MODULE_INVALID',
    })
  })

  it('gives a place back at once when its client leaves or its deadline passes', async () => {
    const { client } = await start({ PLATEAU_MAX_SEQUENCES: '1', PLATEAU_MAX_WAITING: '0' }, await openLog())
    const stream = (settings: object) => {
      const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>(
        (...args) => client.speculate(...args),
        settings,
      )
      const open = target.SpeculateOpen.fromPartial({ promptTokenIds: [5], sampling: sampled() })
      return { call, opened: call.send({ message: { $case: 'open', value: open } }).then(() => call.receive()) }
    }
    const leaving = stream({})
    await leaving.opened
    await expect(tokensOf(client, request())).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: true,
      facts: { active: 1, waiting: 0 },
    })
    leaving.call.cancel()
    expect(await eventually(() => tokensOf(client, request()))).toHaveLength(40)

    const late = stream({ deadlineMs: 100 })
    await late.opened
    await expect(late.call.receive()).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(await eventually(() => tokensOf(client, request()))).toHaveLength(40)
  })

  it('answers bad input with the field, and goes on', async () => {
    const { service, client } = await start({}, await openLog())
    await expect(tokensOf(client, request({ promptTokenIds: [24] }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      facts: { field: 'prompt_token_ids[0]' },
    })
    expect(await tokensOf(client, request())).toHaveLength(40)
    expect(await metricsOf(service.opsUrl)).toMatch(/requests_total{[^}]*code="INVALID_ARGUMENT"[^}]*} 1/)
  })
})

/** The server learns of a client's leaving a moment after the client. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === 100) throw error
      await sleep(10)
    }
  }
}
