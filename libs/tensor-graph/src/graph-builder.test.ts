import { describe, expect, it } from 'vitest'
import { Tape } from './autodiff.js'
import { GraphBuilder } from './graph-builder.js'
import { encodeModel } from './onnx.js'

/** Names and strings lie in the file as they are. */
function holds(model: Uint8Array, text: string): boolean {
  return Buffer.from(model).includes(text)
}

describe('a graph', () => {
  it('encodes only what its outputs need', () => {
    const graph = new GraphBuilder()
    const x = graph.input('x', 'f32', ['batch', 2])
    const y = graph.op('Relu', [x])
    graph.op('Mul', [y, graph.constant(new Float32Array(2), [2], { name: 'unused_weight' })])
    graph.output('y', y, 'f32', ['batch', 2])
    const model = graph.encode()
    expect(holds(model, 'Relu')).toBe(true)
    expect(holds(model, 'Mul')).toBe(false)
    expect(holds(model, 'unused_weight')).toBe(false)
  })

  it('says where external data lies, in place of the data, and refers to the same place once', () => {
    const graph = new GraphBuilder()
    const place = { location: 'weights.bin', offset: 4096, length: 8 }
    const table = graph.constant(place, [2], { type: 'f32' })
    expect(graph.constant({ ...place }, [2], { type: 'f32' })).toBe(table)
    expect(graph.constant(place, [8], { type: 'u8' })).not.toBe(table)
    expect(() => graph.constant(place, [2])).toThrow('say the ONNX type')
    graph.output('y', graph.op('Relu', [table]), 'f32', [2])
    const model = graph.encode()
    for (const text of ['location', 'weights.bin', 'offset', '4096', 'length']) expect(holds(model, text)).toBe(true)
    expect(model.byteLength).toBeLessThan(250)
  })

  it('keeps an input that nothing reads: callers feed it all the same', () => {
    const graph = new GraphBuilder()
    graph.output('y', graph.op('Relu', [graph.input('x', 'f32', [1])]), 'f32', [1])
    graph.input('ignored', 'i64', [1])
    expect(holds(graph.encode(), 'ignored')).toBe(true)
  })

  it('names outputs without a copying node, unless two names share a value or an input is handed through', () => {
    const graph = new GraphBuilder()
    const x = graph.input('x', 'f32', [1])
    const y = graph.op('Relu', [x])
    graph.output('first', y, 'f32', [1])
    expect(holds(graph.encode(), 'Identity')).toBe(false)
    graph.output('second', y, 'f32', [1])
    expect(holds(graph.encode(), 'Identity')).toBe(true)

    const through = new GraphBuilder()
    through.output('y', through.input('x', 'f32', [1]), 'f32', [1])
    expect(holds(through.encode(), 'Identity')).toBe(true)
  })

  it('stores small equal constants once, and tells apart what differs in type or shape', () => {
    const graph = new GraphBuilder()
    expect(graph.scalar(2)).toBe(graph.scalar(2))
    expect(graph.scalar(2)).not.toBe(graph.scalar(3))
    expect(graph.constant(Float32Array.of(2), [1])).not.toBe(graph.scalar(2))
    expect(graph.constant(Uint8Array.of(1), [1])).not.toBe(graph.constant(Uint8Array.of(1), [1], { type: 'bool' }))
  })

  it('refuses a value that nothing produces, a name twice, and a constant of unsaid type', () => {
    const graph = new GraphBuilder()
    graph.input('x', 'f32', [1])
    expect(() => graph.op('Relu', ['z'])).toThrow('Relu reads z, which nothing produces')
    expect(() => graph.input('x', 'f32', [1])).toThrow('already has a value named x')
    expect(() => graph.op('Relu', ['x'], { name: 'x' })).toThrow('already has a value named x')
    expect(() => graph.constant(new Uint16Array(1), [1])).toThrow('say the ONNX type')
  })

  it('leaves an optional input out where its name is empty', () => {
    const graph = new GraphBuilder()
    const x = graph.input('x', 'f32', [1])
    expect(() => graph.op('Clip', [x, '', graph.scalar(1)])).not.toThrow()
  })
})

it('the bytes are those of the protobuf wire format', () => {
  const model = encodeModel({
    nodes: [{ op: 'A', domain: '', inputs: ['x'], outputs: ['y'], attributes: { axis: -1 } }],
    initializers: [],
    inputs: [{ name: 'x', type: 'f32', dims: ['n', 300] }],
    outputs: [],
    opset: 20,
  })
  const attribute = '2a18 0a04 61786973 18 ffffffffffffffffff01 a00102'.replaceAll(' ', '')
  const bytes = Buffer.from(model).toString('hex')
  // axis = -1 as a ten-byte varint with type INT, inside the node.
  expect(bytes).toContain(attribute.slice(4))
  // Dimensions: dim_param "n", then dim_value 300.
  expect(bytes).toContain('0a0312016e' + '0a0308ac02')
})

describe('the tape refuses', () => {
  it('shapes that do not fit, naming both', () => {
    const tape = new Tape()
    const a = tape.raw.input('a', [2, 3])
    const b = tape.raw.input('b', [4, 5])
    expect(() => tape.linear(a, b)).toThrow('cannot multiply a [2,3] and b [4,5]')
    expect(() => tape.batchedMatmul(a, b)).toThrow('cannot multiply a [2,3] and b [4,5]')
    expect(() => tape.add(a, b)).toThrow('cannot broadcast [2,3] with [4,5]')
    expect(() => tape.reshape(a, [4])).toThrow('cannot reshape [2,3] to [4]')
  })

  it('a gradient of something that the loss does not depend on', () => {
    const tape = new Tape()
    const [a, b] = [tape.raw.input('a', [2]), tape.raw.input('b', [2])]
    expect(() => tape.gradients(tape.sum(a), [b])).toThrow('the loss does not depend on b')
    expect(() => tape.gradients(a, [a])).toThrow('a loss is one number, not [2]')
  })
})
