import { expect, test } from 'vitest'
import { addExternalEntries, readExternalData } from './external-data.js'
import { GraphBuilder } from './graph-builder.js'

function model(): Uint8Array {
  const graph = new GraphBuilder()
  const x = graph.input('x', 'f32', ['n', 4])
  const place = (offset: number) => ({ location: 'weights.bin', offset, length: 16 })
  const first = graph.constant(place(0), [4], { type: 'f32', name: 'first' })
  const second = graph.constant(place(4096), [4], { type: 'f32', name: 'second' })
  const inside = graph.constant(Float32Array.of(1, -2, 3, 1e9), [4], { name: 'inside' })
  const sum = [first, second, inside].reduce((y, constant) => graph.op('Add', [y, constant]), x)
  graph.output('y', graph.op('LeakyRelu', [sum], { attributes: { alpha: { float: 0.1 } } }), 'f32', ['n', 4])
  return graph.encode()
}

test('the entries of external tensors are read by name', () => {
  expect([...readExternalData(model())]).toEqual([
    ['first', { location: 'weights.bin', offset: '0', length: '16' }],
    ['second', { location: 'weights.bin', offset: '4096', length: '16' }],
  ])
})

test('entries are added where asked, and all else stays byte by byte', () => {
  const extended = addExternalEntries(model(), ({ offset }) => (offset === '4096' ? { packed: 'x|1;2;3' } : {}))
  expect(readExternalData(extended).get('second')).toEqual({
    location: 'weights.bin',
    offset: '4096',
    length: '16',
    packed: 'x|1;2;3',
  })
  expect(readExternalData(extended).get('first')).not.toHaveProperty('packed')
  expect(Buffer.from(addExternalEntries(model(), () => ({}))).equals(model())).toBe(true)
})

test('a model that ends too early is refused', () => {
  const whole = model()
  for (const length of [1, 20, whole.length - 1]) {
    expect(() => readExternalData(whole.subarray(0, length))).toThrow('the ONNX model ends within')
  }
})
