/** Every differentiable operator against central differences, in the engine that will run it. */
import { seededRandom } from '@plateau/speculation'
import { klLoss, lkHybridLoss, Tape, totalVariationLoss, type SparseTargets, type Tensor } from '@plateau/tensor-graph'
import { describe, expect, it } from 'vitest'
import { float32, int64, type HostTensor } from './host-tensor.js'
import { loadSession } from './session.js'

/** Central differences of 32-bit losses are no better. */
const tolerance = 2e-3

interface Variable {
  readonly shape: readonly number[]
  /** Standard normal by default. */
  readonly values?: Float32Array
}

/** Builds `output` from variables; its elements are weighed at random and summed, so that each one's gradient counts. */
type Build = (tape: Tape, variables: readonly Tensor[]) => Tensor

const operators: Record<string, { readonly variables: readonly Variable[]; readonly build: Build }> = {
  'add, broadcast both ways': op(
    [
      [2, 1, 3],
      [4, 1],
    ],
    (t, [a, b]) => t.add(a!, b!),
  ),
  'sub, broadcast': op([[3], [2, 3]], (t, [a, b]) => t.sub(a!, b!)),
  'mul, broadcast': op(
    [
      [2, 3],
      [1, 3],
    ],
    (t, [a, b]) => t.mul(a!, b!),
  ),
  'mul of a value with itself': op([[2, 3]], (t, [a]) => t.mul(a!, a!)),
  div: {
    variables: [{ shape: [2, 3] }, { shape: [1, 3], values: Float32Array.of(1.5, -2, 0.8) }],
    build: (t, [a, b]) => t.div(a!, b!),
  },
  sum: op([[2, 3]], (t, [a]) => t.sum(t.mul(a!, a!))),
  'sum over the last axis': op([[2, 3, 4]], (t, [a]) => t.sumLast(t.mul(a!, a!))),
  'picked columns, one twice': op([[3, 4]], (t, [a]) => t.pickColumns(t.mul(a!, a!), Int32Array.of(2, 0, 2))),
  'reshape and transpose': op([[2, 3, 4]], (t, [a]) => t.reshape(t.transpose(a!, [2, 0, 1]), [8, 3])),
  'split, one part unused': op([[2, 6]], (t, [a]) => {
    const [x, , z] = t.split(a!, [1, 2, 3], 1)
    return t.mul(x!, z!)
  }),
  concat: op(
    [
      [2, 1],
      [2, 3],
    ],
    (t, [a, b]) => t.concat([a!, b!, a!], 1),
  ),
  linear: op(
    [
      [5, 3],
      [4, 3],
    ],
    (t, [x, w]) => t.linear(x!, w!),
  ),
  'batched matmul': op(
    [
      [2, 2, 3, 4],
      [2, 2, 4, 5],
    ],
    (t, [a, b]) => t.batchedMatmul(a!, b!, { scale: 0.5 }),
  ),
  'batched matmul, b transposed': op(
    [
      [2, 3, 4],
      [2, 5, 4],
    ],
    (t, [a, b]) => t.batchedMatmul(a!, b!, { transB: true, scale: 0.7 }),
  ),
  softmax: op([[3, 5]], (t, [a]) => t.softmax(a!)),
  sigmoid: op([[3, 4]], (t, [a]) => t.sigmoid(a!)),
  silu: op([[3, 4]], (t, [a]) => t.silu(a!)),
  'rms norm': op([[3, 8], [8]], (t, [x, w]) => t.rmsNorm(x!, w!, 1e-5)),
  'rms norm of small values, where epsilon matters': {
    variables: [{ shape: [2, 4], values: randomNormal(8, 5).map((x) => x * 0.03) }, { shape: [4] }],
    build: (t, [x, w]) => t.rmsNorm(x!, w!, 1e-3),
  },
  rope: op([[2, 3, 4, 6]], (t, [x]) => t.rope(x!, rotaryTable(4, 3))),
  'rope with a longer table': op([[1, 1, 2, 4]], (t, [x]) => t.rope(x!, rotaryTable(7, 2))),
  'gather of rows, one of them twice': op([[4, 3]], (t, [table]) =>
    t.gatherRows(table!, constantIds(t, [2, 0, 2, 1, 2])),
  ),
  'a value used three times': op([[2, 3]], (t, [a]) => t.add(t.mul(a!, t.sigmoid(a!)), a!)),
}

describe('gradients agree with central differences', () => {
  it.each(Object.entries(operators))('%s', async (_, { variables, build }) => {
    const { worstError } = await checkGradients(variables, build)
    expect(worstError).toBeLessThan(tolerance)
  })
})

const targetCases: Record<string, { ids: readonly number[][]; probs: readonly number[][] }> = {
  'top 2 and a tail': {
    ids: [
      [4, 1],
      [0, 5],
      [2, 3],
    ],
    probs: [
      [0.5, 0.2],
      [0.05, 0.01],
      [0.98, 0.01],
    ],
  },
  'hard labels': { ids: [[4], [0], [2]], probs: [[1], [1], [1]] },
  'every token listed but one': {
    ids: [
      [0, 1, 2, 3, 4],
      [5, 4, 3, 2, 1],
      [0, 2, 4, 1, 5],
    ],
    probs: [
      [0.1, 0.2, 0.3, 0.1, 0.2],
      [0, 0, 0.5, 0.25, 0.125],
      [0.6, 0.3, 0.05, 0.03, 0.01],
    ],
  },
  'an empty tail': {
    ids: [
      [4, 1],
      [0, 5],
      [2, 3],
    ],
    probs: [
      [0.75, 0.25],
      [0.5, 0.5],
      [1, 0],
    ],
  },
  'probabilities that sum to more than one': {
    ids: [
      [4, 1],
      [0, 5],
      [2, 3],
    ],
    probs: [
      [0.75, 0.252],
      [0.5, 0.501],
      [1, 0.003],
    ],
  },
}
const rowWeights = [0.5, 0.3, 0]

describe('losses on the top k and a tail bucket', () => {
  it.each(Object.entries(targetCases))('KL: value and gradient, %s', async (_, targets) => {
    const logits = { shape: [3, 6], values: randomNormal(18, 3) }
    const { loss, worstError } = await checkGradients([logits], (tape, [z]) =>
      klLoss(tape, z!, sparseTargets(tape, targets)),
    )
    expect(worstError).toBeLessThan(tolerance)
    expect(loss).toBeCloseTo(
      plainLoss(logits.values, targets, (p, q) => (p === 0 ? 0 : p * Math.log(p / q))),
      5,
    )
  })

  it.each(Object.entries(targetCases))('total variation: value and gradient, %s', async (_, targets) => {
    const logits = { shape: [3, 6], values: randomNormal(18, 4) }
    const { loss, worstError } = await checkGradients([logits], (tape, [z]) =>
      totalVariationLoss(tape, z!, sparseTargets(tape, targets)),
    )
    expect(worstError).toBeLessThan(tolerance)
    expect(loss).toBeCloseTo(
      plainLoss(logits.values, targets, (p, q) => Math.abs(p - q) / 2),
      5,
    )
  })

  it.each(Object.entries(targetCases))(
    'LK hybrid: value, and the gradient of its mixture held still, %s',
    async (_, targets) => {
      const logits = { shape: [3, 6], values: randomNormal(18, 5) }
      const { loss, gradients } = await evaluate([logits], (tape, [z]) =>
        lkHybridLoss(tape, z!, sparseTargets(tape, targets)),
      )
      const rowLoss = (values: Float32Array, row: number, term: (p: number, q: number) => number): number =>
        plainLoss(values, { ids: [targets.ids[row]!], probs: [targets.probs[row]!] }, term, row)
      const kl = (p: number, q: number): number => (p === 0 ? 0 : p * Math.log(p / q))
      const tv = (p: number, q: number): number => Math.abs(p - q) / 2
      const shares = [0, 1, 2].map((row) =>
        Math.exp(-3 * (1 - rowLoss(logits.values, row, tv) / (rowWeights[row]! || 1))),
      )
      const mixture = (values: Float32Array): number =>
        shares.reduce(
          (sum, share, row) => sum + share * rowLoss(values, row, kl) + (1 - share) * rowLoss(values, row, tv),
          0,
        )
      expect(loss).toBeCloseTo(mixture(logits.values), 5)
      const step = 1e-3
      for (const at of logits.values.keys()) {
        const difference = [step, -step].map((by) => mixture(logits.values.with(at, logits.values[at]! + by)))
        expect(gradients[0]![at]).toBeCloseTo((difference[0]! - difference[1]!) / (2 * step), 3)
      }
    },
  )

  it('KL of confident logits stays finite, and its gradient too', async () => {
    const values = Float32Array.of(80, 0, 0, 0, 0, -80, 0, 90, 0, 0, 0, 0, 5, 5, 5, 5, 5, 5)
    const { loss, gradients } = await evaluate([{ shape: [3, 6], values }], (tape, [z]) =>
      klLoss(
        tape,
        z!,
        sparseTargets(tape, {
          ids: [
            [1, 2],
            [5, 1],
            [0, 3],
          ],
          probs: [
            [0.5, 0.4],
            [0.9, 0.1],
            [0.2, 0.1],
          ],
        }),
      ),
    )
    expect(Number.isFinite(loss)).toBe(true)
    expect(gradients[0]!.every(Number.isFinite)).toBe(true)
  })
})

it('scattering many equal ids gives the same sums in every run, with two threads', async () => {
  const [rows, width, count] = [64, 128, 2048]
  const ids = Array.from({ length: count }, (_, i) => (i * 7) % 5)
  const dy = new Float32Array(count * width).fill(1)
  const tape = new Tape()
  const table = tape.raw.input('table', [rows, width])
  const y = tape.gatherRows(table, constantIds(tape, ids))
  const loss = tape.sum(tape.mul(y, tape.raw.constant(dy, [count, width])))
  tape.raw.output('gradient', tape.gradients(loss, [table])[0]!)
  const session = await loadSession(tape.raw.graph.encode(), { name: 'scatter', threads: 2 })
  const expected = Array.from({ length: rows }, (_, row) => ids.filter((id) => id === row).length)
  for (let run = 0; run < 10; run++) {
    const outputs = await session.run({ table: float32(new Float32Array(rows * width), [rows, width]) })
    const gradient = outputs['gradient']!.data as Float32Array
    expect(gradient.every((value, i) => value === expected[Math.floor(i / width)])).toBe(true)
  }
  await session.release()
})

/** The worst difference of any element, relative to the largest gradient. */
async function checkGradients(
  variables: readonly Variable[],
  build: Build,
): Promise<{ loss: number; worstError: number }> {
  const { loss, gradients, lossAt, release } = await evaluate(variables, build, true)
  const scale = Math.max(...gradients.flatMap((gradient) => [...gradient].map(Math.abs)))
  let worstError = 0
  for (const [v, gradient] of gradients.entries()) {
    for (const i of gradient.keys()) {
      const error = Math.abs((await centralDifference(lossAt, v, i)) - gradient[i]!) / scale
      if (!(error <= worstError)) worstError = error
    }
  }
  await release()
  return { loss, worstError }
}

/** Richardson's combination of two steps: the error falls with the fourth power, so the steps can be large. */
async function centralDifference(
  lossAt: (variable: number, element: number, shift: number) => Promise<number>,
  variable: number,
  element: number,
): Promise<number> {
  const at = async (h: number) =>
    ((await lossAt(variable, element, h)) - (await lossAt(variable, element, -h))) / (2 * h)
  const step = 2 ** -6
  return (4 * (await at(step)) - (await at(2 * step))) / 3
}

async function evaluate(variables: readonly Variable[], build: Build, keep = false) {
  const tape = new Tape()
  const values = variables.map(({ shape, values: given }, v) => given ?? randomNormal(product(shape), v + 10))
  const inputs = variables.map(({ shape }, v) => tape.raw.input(`v${v}`, shape))
  const output = build(tape, inputs)
  const weights = tape.raw.constant(randomNormal(product(output.shape), 1), output.shape)
  const loss = output.shape.length === 0 ? output : tape.sum(tape.mul(output, weights))
  tape.raw.output('loss', loss)
  tape.gradients(loss, inputs).forEach((gradient, v) => {
    expect(gradient.shape).toEqual(variables[v]!.shape)
    tape.raw.output(`g${v}`, gradient)
  })
  const session = await loadSession(tape.raw.graph.encode(), { name: 'gradients', threads: 1 })
  const feeds = Object.fromEntries(
    values.map((data, v): [string, HostTensor] => [`v${v}`, float32(data, variables[v]!.shape)]),
  )
  const lossAt = async (v: number, i: number, shift: number) => {
    const kept = values[v]![i]!
    values[v]![i] = kept + shift
    const outputs = await session.run(feeds, ['loss'])
    values[v]![i] = kept
    return Number(outputs['loss']!.data[0])
  }
  const outputs = await session.run(feeds)
  if (!keep) await session.release()
  return {
    loss: Number(outputs['loss']!.data[0]),
    gradients: variables.map((_, v) => outputs[`g${v}`]!.data as Float32Array),
    lossAt,
    release: () => session.release(),
  }
}

function op(shapes: readonly (readonly number[])[], build: Build): { variables: Variable[]; build: Build } {
  return { variables: shapes.map((shape) => ({ shape })), build }
}

function sparseTargets(
  tape: Tape,
  { ids, probs }: { ids: readonly number[][]; probs: readonly number[][] },
): SparseTargets {
  const shape = [ids.length, ids[0]!.length]
  return {
    ids: { name: tape.raw.graph.constant(int64(ids.flat()).data, shape), shape, type: 'i64' },
    probs: tape.raw.constant(Float32Array.from(probs.flat()), shape),
    weights: tape.raw.constant(Float32Array.from(rowWeights), [ids.length]),
  }
}

/** The definition in double precision: sum over listed tokens and the tail of `term(p, q)`, weighed by row. */
function plainLoss(
  logits: Float32Array,
  { ids, probs }: { ids: readonly number[][]; probs: readonly number[][] },
  term: (p: number, q: number) => number,
  firstRow = 0,
): number {
  let loss = 0
  ids.forEach((row, n) => {
    const start = 6 * (firstRow + n)
    const exponentials = [...logits.subarray(start, start + 6)].map(Math.exp)
    const total = exponentials.reduce((a, b) => a + b, 0)
    const q = row.map((id) => exponentials[id]! / total)
    const tail = (listed: readonly number[]) => Math.max(0, 1 - listed.reduce((a, b) => a + b, 0))
    const terms = row.map((_, i) => term(probs[n]![i]!, q[i]!))
    loss += rowWeights[firstRow + n]! * (terms.reduce((a, b) => a + b, 0) + term(tail(probs[n]!), tail(q)))
  })
  return loss
}

function constantIds(tape: Tape, ids: readonly number[]): Tensor {
  return { name: tape.raw.graph.constant(int64(ids).data, [ids.length]), shape: [ids.length], type: 'i64' }
}

function rotaryTable(positions: number, half: number) {
  const angles = Float32Array.from({ length: positions * half }, (_, i) => Math.floor(i / half) / 3 ** (i % half))
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) }
}

function randomNormal(count: number, seed: number): Float32Array {
  const random = seededRandom(seed)
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  )
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}
