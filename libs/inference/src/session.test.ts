import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PlateauError } from '@plateau/contracts'
import { GraphBuilder } from '@plateau/tensor-graph'
import { afterEach, expect, test } from 'vitest'
import { float32, freeOutput, int64, type HostTensor } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

/** Not among the types of a library without a DOM. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } }

const loaded: InferenceSession[] = []
afterEach(() => Promise.all(loaded.splice(0).map((session) => session.release())))

/** sum = x + y, product = x * y. */
async function twoOutputs(): Promise<InferenceSession> {
  const graph = new GraphBuilder()
  const x = graph.input('x', 'f32', ['n'])
  const y = graph.input('y', 'f32', ['n'])
  graph.output('sum', graph.op('Add', [x, y]), 'f32', ['n'])
  graph.output('product', graph.op('Mul', [x, y]), 'f32', ['n'])
  const session = await loadSession(graph.encode(), { threads: 1, name: 'two outputs' })
  loaded.push(session)
  return session
}

/** picked = x[at], so that a run touches one element of x only. */
async function pick(): Promise<InferenceSession> {
  const graph = new GraphBuilder()
  const x = graph.input('x', 'f32', ['n'])
  const at = graph.input('at', 'i64', ['m'])
  graph.output('picked', graph.op('Gather', [x, at]), 'f32', ['m'])
  const session = await loadSession(graph.encode(), { threads: 1, name: 'pick' })
  loaded.push(session)
  return session
}

const values = (tensor: HostTensor | undefined) => Array.from(tensor?.data ?? [], Number)

test('runs a model and names inputs and outputs', async () => {
  const session = await twoOutputs()
  expect(session.inputNames).toEqual(['x', 'y'])
  expect(session.inputs[0]).toEqual({ name: 'x', type: 'float32', dims: ['n'] })
  expect(session.outputNames).toEqual(['sum', 'product'])
  const result = await session.run({ x: float32(Float32Array.of(1, 2)), y: float32(Float32Array.of(3, 5)) })
  expect(values(result['sum'])).toEqual([4, 7])
  expect(values(result['product'])).toEqual([3, 10])
  expect(result['sum']).toMatchObject({ type: 'float32', dims: [2] })
})

test('an output is written where the caller wants it, and the others are fresh', async () => {
  const session = await twoOutputs()
  const memory = new WebAssembly.Memory({ initial: 1 })
  const place = float32(new Float32Array(memory.buffer, 64, 2))
  const feed = (x: number) => ({ x: float32(Float32Array.of(x, 2)), y: float32(Float32Array.of(3, 5)) })
  const first = await session.runInto(feed(1), { product: place })
  expect(first['product']).toBe(place)
  expect(values(place)).toEqual([3, 10])
  expect(values(first['sum'])).toEqual([4, 7])
  await session.runInto(feed(4), { product: place })
  expect(values(place)).toEqual([12, 10])
  expect(values(first['sum'])).toEqual([4, 7])
  await expect(session.runInto(feed(1), { product: float32(new Float32Array(3)) })).rejects.toThrow('two outputs')
})

test('an output can be given back at once; the others stay', async () => {
  const session = await twoOutputs()
  const x = float32(Float32Array.of(1, 2))
  const { sum, product } = await session.run({ x, y: x })
  freeOutput(sum!)
  expect(sum!.data).toHaveLength(0)
  expect(values(product)).toEqual([1, 4])
  expect(values((await session.run({ x, y: x }))['sum'])).toEqual([2, 4])
})

test('only the fetched outputs come back, and what is none is named', async () => {
  const session = await twoOutputs()
  const x = float32(Float32Array.of(2))
  expect(Object.keys(await session.run({ x, y: x }, ['product']))).toEqual(['product'])
  for (const unknown of [['quotient'], ['sum', 'quotient']]) {
    await expect(session.run({ x, y: x }, unknown)).rejects.toThrow('no output "quotient"')
  }
})

test('an input is read in place: what is written between runs is seen, through views too', async () => {
  const session = await pick()
  const memory = new Float32Array(8)
  const x = float32(memory.subarray(2, 6))
  const at = int64([1])
  expect(values((await session.run({ x, at }))['picked'])).toEqual([0])
  memory[3] = 7
  expect(values((await session.run({ x, at }))['picked'])).toEqual([7])
})

test('views into WebAssembly memory are accepted as inputs', async () => {
  const session = await pick()
  const view = new Float32Array(new WebAssembly.Memory({ initial: 1 }).buffer, 1024, 4)
  view.set([1, 2, 3, 4])
  expect(values((await session.run({ x: float32(view), at: int64([3, 0]) }))['picked'])).toEqual([4, 1])
})

test('an output is fresh and stays as it was when the next run writes its own', async () => {
  const session = await twoOutputs()
  const x = float32(Float32Array.of(1))
  const first = (await session.run({ x, y: x }))['sum']
  x.data[0] = 10
  const second = (await session.run({ x, y: x }))['sum']
  expect([values(first), values(second)]).toEqual([[2], [20]])
})

test('runs asked for together happen in order and each gets its own result', async () => {
  const session = await twoOutputs()
  const one = float32(Float32Array.of(1))
  const order: number[] = []
  const sums = await Promise.all(
    [0, 1, 2, 3].map(async (i) => {
      const { sum } = await session.run({ x: float32(Float32Array.of(i)), y: one }, ['sum'])
      order.push(i)
      return values(sum)[0]
    }),
  )
  expect(sums).toEqual([1, 2, 3, 4])
  expect(order).toEqual([0, 1, 2, 3])
})

test('release waits for the runs already asked for, and later runs are refused', async () => {
  const session = await twoOutputs()
  const x = float32(Float32Array.of(3))
  const running = session.run({ x, y: x }, ['sum'])
  await Promise.all([session.release(), session.release()])
  expect(values((await running)['sum'])).toEqual([6])
  await expect(session.run({ x, y: x })).rejects.toMatchObject({ code: 'SESSION_RELEASED' })
})

test('a refused model names itself', async () => {
  const error = await loadSession(Uint8Array.of(1, 2, 3), { threads: 1, name: 'broken' }).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(PlateauError)
  expect(error).toMatchObject({ code: 'MODEL_NOT_LOADABLE', facts: { model: 'broken', bytes: 3 } })
})

test('a provider whose libraries are missing is one clear error, and the cpu goes on working', async () => {
  const graph = new GraphBuilder()
  graph.output('y', graph.op('Relu', [graph.input('x', 'f32', ['n'])]), 'f32', ['n'])
  const options = { threads: 1, name: 'on a GPU' }
  const outcome = await loadSession(graph.encode(), { ...options, provider: 'cuda' }).then(
    (session) => {
      // Where the libraries are there, it loads.
      loaded.push(session)
      return 'loaded'
    },
    (error: unknown) => (error instanceof PlateauError ? `${error.code}: ${error.message}` : error),
  )
  expect(outcome).toMatch(/^loaded$|^EXECUTION_PROVIDER_UNAVAILABLE: The model "on a GPU" .* choose the provider cpu/)
  const session = await loadSession(graph.encode(), options)
  loaded.push(session)
  expect(values((await session.run({ x: float32(Float32Array.of(-1, 2)) }))['y'])).toEqual([0, 2])
})

test('a failed run says what was fed, and the session goes on working', async () => {
  const session = await twoOutputs()
  const x = float32(Float32Array.of(1, 2))
  await expect(session.run({ x, y: float32(Float32Array.of(1, 2, 3)) })).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    facts: { model: 'two outputs', feeds: 'x: float32[2]; y: float32[3]' },
  })
  await expect(session.run({ x })).rejects.toMatchObject({ code: 'INFERENCE_FAILED' })
  await expect(session.run({ x, y: x }, ['nothing'])).rejects.toMatchObject({ code: 'INFERENCE_FAILED' })
  expect(values((await session.run({ x, y: x }))['sum'])).toEqual([2, 4])
})

test('nothing is written to the home folder, although telemetry is switched off only just before the engine loads', async () => {
  const home = await mkdtemp(join(tmpdir(), 'plateau-home-'))
  try {
    const engine = JSON.stringify(createRequire(import.meta.url).resolve('onnxruntime-node'))
    const script = `process.env.ORT_DISABLE_TELEMETRY ??= '1'
      const { InferenceSession } = await import(${engine})
      await InferenceSession.create(new Uint8Array(3)).catch(() => {})`
    const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...env, HOME: home, XDG_CACHE_HOME: home },
    })
    expect(await readdir(home)).toEqual([])
  } finally {
    await rm(home, { recursive: true })
  }
})
