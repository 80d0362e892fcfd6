import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mergeConfigs } from '@plateau/config'
import { target } from '@plateau/contracts'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import {
  bidiStream,
  callBidi,
  callServerStream,
  callUnary,
  createClient,
  serverStream,
  startServer,
  unary,
} from '@plateau/rpc'
import { commonConfig, startService } from '@plateau/service-kit'
import { targetModel } from '@plateau/target-model'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { plateau } from '../testing/run-command.js'

const model = fileURLToPath(new URL('../../../../models/tiny-target', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'plateau-selftest-'))
const address = `unix:${directory}/target.sock`
const prompts = join(directory, 'prompts.json')
let stop: () => Promise<unknown>

/** The service itself, in this process, on a small model. */
beforeAll(async () => {
  writeFileSync(prompts, JSON.stringify(['The state of the Union is', 'export function add(']))
  const settings = { PLATEAU_MODEL: model, PLATEAU_WEIGHTS: 'f32', PLATEAU_THREADS: '1', PLATEAU_LOG_LEVEL: 'fatal' }
  const config = mergeConfigs(commonConfig(0), targetModel.config).parse({
    ...settings,
    PLATEAU_MODEL_CACHE: join(directory, 'built'),
  })
  const eventLog = openEmbeddedEventLog(join(directory, 'log'))
  const service = await startService(targetModel, { ...config, address }, { eventLog })
  stop = () => service.stop()
})
afterAll(async () => {
  await stop()
  rmSync(directory, { recursive: true })
})

const selftest = (...args: string[]) =>
  plateau(['selftest', '--model', model, '--prompts', prompts, '--tokens', '12', ...args])

describe('a target that speculates with itself', () => {
  test('accepts everything, at every temperature, with penalties and without', async () => {
    const { code, out } = await selftest('--target', address, '--weights', 'f32')
    expect(out).toMatch(/^0 +18 +18 +1\.0000 +1\.0000\d +2 of 2 +ok$/m)
    expect(out).toMatch(/^1, penalties, bias, top_p +\d+ +\d+ +1\.0000 .* ok$/m)
    expect(out.match(/ ok$/gm)).toHaveLength(6)
    expect(out).toContain('with f32 weights the rate may be 0.998 at least: it is\n')
    expect(code).toBe(0)
  })

  test('fails, and says why, when it leaves penalties and biases out', async () => {
    const { code, json } = await selftest('--target', await forgetful(), '--weights', 'f32', '--json')
    expect(code).toBe(1)
    const { cases, meaning } = json<{
      cases: { isProcessed: boolean; proposed: number; accepted: number }[]
      meaning: string
    }>()
    for (const { isProcessed, proposed, accepted } of cases) expect(accepted < proposed).toBe(isProcessed)
    expect(meaning).toContain('Only requests with penalties, biases or top_p are rejected')
  })
})

test('another model than the one at hand is refused by name', async () => {
  const other = fileURLToPath(new URL('../../../../models/demo-target', import.meta.url))
  const { code, err } = await plateau(['selftest', '--target', address, '--model', other])
  expect(code).toBe(1)
  expect(err).toMatch(/is not the model of --model: its weights and configuration are others \(TARGET_MISMATCH\)\n$/)
})

test('a target that is away, and a format that is none, are said', async () => {
  const away = await plateau(['selftest', '--target', '127.0.0.1:1', '--model', model])
  expect(away.err).toMatch(/no target-model answers at 127\.0\.0\.1:1: is it running.*\(UNAVAILABLE\)\n$/)
  const wrong = await plateau(['selftest', '--model', model], { environment: { PLATEAU_WEIGHTS: 'int7' } })
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('PLATEAU_WEIGHTS=int7 is no format') })
})

/** In front of the target: a server that passes everything on but penalties, biases and top_p. Returns its address. */
async function forgetful(): Promise<string> {
  const client = createClient(target.TargetServiceClient, address)
  onTestFinished(() => client.close())
  const report = (error: unknown): void => console.error(error)
  const withoutThem = (sampling: target.SamplingParams | undefined) => {
    const none = { presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 0, logitBias: {}, topP: 1 }
    return sampling && { ...sampling, ...none }
  }
  const implementation: target.TargetServiceServer = {
    describe: unary((request) => callUnary(client.describe.bind(client), request), report),
    score: unary((request) => callUnary(client.score.bind(client), request), report),
    generate: serverStream(
      (request) =>
        callServerStream((...call) => client.generate(...call), {
          ...request,
          sampling: withoutThem(request.sampling),
        }),
      report,
    ),
    speculate: bidiStream(async function* (requests: AsyncIterable<target.SpeculateRequest>) {
      const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>((...of) => client.speculate(...of))
      for await (const { message } of requests) {
        const open = message?.$case === 'open' ? message.value : undefined
        const passed = open && { ...open, sampling: withoutThem(open.sampling) }
        await call.send({ message: passed ? { $case: 'open', value: passed } : message })
        const answer = await call.receive()
        if (answer === undefined) return
        yield answer
      }
    }, report),
  }
  const services = [{ definition: target.TargetServiceService, implementation }]
  const server = await startServer({ address: '127.0.0.1:0', services })
  onTestFinished(() => server.drain(0))
  return server.address
}
