import { target } from '@plateau/contracts'
import { serverStream, startServer, unary } from '@plateau/rpc'
import { silentLogger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { TargetLink } from './target-link.js'

const HOUR_MS = 3_600_000
const report = (error: unknown): never => {
  throw error
}

/** A target that can be made to leave Describe without an answer, while responses go on. */
async function slowTarget() {
  const state = { silent: 0, asked: 0 }
  const server = await startServer({
    address: '127.0.0.1:0',
    services: [
      {
        definition: target.TargetServiceService,
        implementation: {
          describe: unary(async () => {
            state.asked++
            if (state.silent-- > 0) await sleep(HOUR_MS, undefined, { ref: false })
            return target.DescribeResponse.fromPartial({ targetFingerprint: 'f', tokenizerHash: 't' })
          }, report),
          generate: serverStream(async function* () {
            for (;;) {
              yield target.GenerateResponse.fromPartial({})
              await sleep(5)
            }
          }, report),
          score: unary(async () => target.ScoreResponse.fromPartial({}), report),
          speculate: () => {},
        },
      },
    ],
  })
  const link = new TargetLink({
    address: server.address,
    expected: { fingerprint: 'f', tokenizerHash: 't' },
    stallMs: HOUR_MS,
    describeMs: 100,
    logger: silentLogger,
    onMismatch: report,
  })
  onTestFinished(async () => {
    await link.close()
    await server.drain(0)
  })
  link.start()
  await until(() => link.whyNotReady() === undefined)
  return { state, link }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5)
}

/** Looks at the target now, as somebody does who waits out the pause. */
async function looks(state: { asked: number }, count: number): Promise<void> {
  const enough = state.asked + count
  await until(() => state.asked >= enough)
}

test('a Describe without an answer does not lose a target that answers the next one', async () => {
  const { state, link } = await slowTarget()
  state.silent = 1
  await looks(state, 2)
  expect(link.whyNotReady()).toBeUndefined()
})

test('a target that answers neither is lost, and found when it answers again', async () => {
  const { state, link } = await slowTarget()
  state.silent = 3
  await until(() => link.whyNotReady() !== undefined)
  expect(state.silent).toBeLessThanOrEqual(1)
  await until(() => link.whyNotReady() === undefined)
})

test('as long as responses receive messages, no number of late Describes loses the target', async () => {
  const { state, link } = await slowTarget()
  const ending = new AbortController()
  const reading = (async () => {
    for await (const _ of link.generate(target.GenerateRequest.fromPartial({}), {
      signal: ending.signal,
      deadlineMs: HOUR_MS,
    }));
  })().catch(() => {})
  state.silent = 5
  await looks(state, 5)
  expect(link.whyNotReady()).toBeUndefined()
  ending.abort()
  await reading
})
