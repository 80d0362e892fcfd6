import { PlateauError } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { decodeSafetensors, encodeSafetensors } from './safetensors.js'
import { doubleTensor, floatTensor, integerTensor, type Tensor, toFloats } from './tensor.js'

const tensors = new Map<string, Tensor>([
  ['a.weight', floatTensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6), 'F16')],
  ['b.weight', floatTensor([3], Float32Array.of(-1, 0.5, 1e20), 'F32')],
  ['sums', doubleTensor([], Float64Array.of(Math.E))],
  ['steps', integerTensor([1], BigInt64Array.of(7n))],
  ['empty', floatTensor([0, 4], new Float32Array(0), 'BF16')],
])
const whole = encodeSafetensors(tensors, { format: 'pt', note: 'grüße' })

/** A file of a hand-written header. */
function file(header: string | object, dataBytes: number): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const out = new Uint8Array(8 + json.length + dataBytes)
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true)
  out.set(json, 8)
  return out
}

/** What was returned, or what was thrown. */
function attempt(work: () => unknown): unknown {
  try {
    return work()
  } catch (thrown) {
    return thrown
  }
}

function failure(bytes: Uint8Array): PlateauError {
  const outcome = attempt(() => decodeSafetensors(bytes, 'm.safetensors'))
  if (outcome instanceof PlateauError) return outcome
  throw new Error('this should have been refused with a PlateauError', { cause: outcome })
}

describe('safetensors', () => {
  it('gives back every tensor and the metadata', () => {
    const { tensors: read, metadata } = decodeSafetensors(whole, 'm.safetensors')
    expect(metadata).toEqual({ format: 'pt', note: 'grüße' })
    expect([...read.keys()].toSorted()).toEqual([...tensors.keys()].toSorted())
    for (const [name, { dtype, shape, bytes }] of tensors) {
      expect(read.get(name)).toMatchObject({ dtype, shape })
      expect(Buffer.from(read.get(name)!.bytes)).toEqual(Buffer.from(bytes))
    }
  })

  it('writes the same bytes whatever order the tensors come in, each aligned for its type', () => {
    expect(encodeSafetensors(new Map([...tensors].toReversed()), { format: 'pt', note: 'grüße' })).toEqual(whole)
    for (const { dtype, bytes } of decodeSafetensors(whole, 'm').tensors.values()) {
      expect(bytes.byteOffset % { F64: 8, I64: 8, F32: 4, F16: 2, BF16: 2, BOOL: 1 }[dtype]).toBe(0)
    }
  })

  it('reads the layout of other writers: any order of names, padding behind the header, no metadata', () => {
    const header =
      '{"z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]}}   '
    const bytes = file(header, 6)
    bytes.set([0, 0, 0x80, 0x3f, 0x00, 0xc0], bytes.length - 6)
    const { tensors: read, metadata } = decodeSafetensors(bytes, 'm')
    expect([...toFloats(read.get('z')!), ...toFloats(read.get('a')!)]).toEqual([1, -2])
    expect(metadata).toEqual({})
  })

  it('calls a file that ends early truncated, wherever it ends', () => {
    for (let length = 0; length < whole.length; length++) {
      const error = failure(whole.subarray(0, length))
      expect(error.code).toBe('MODEL_FILE_TRUNCATED')
      expect(error.facts).toMatchObject({ file: 'm.safetensors', foundBytes: length })
    }
  })

  it('survives every flipped bit of length and header: a clear error, or still tensors that fill the file', () => {
    const dataBytes = [...tensors.values()].reduce((sum, { bytes }) => sum + bytes.length, 0)
    const headerEnd = whole.length - dataBytes
    const filled = (bytes: Uint8Array): number =>
      [...decodeSafetensors(bytes, 'm').tensors.values()].reduce((sum, tensor) => sum + tensor.bytes.length, 0)
    let refused = 0
    for (let bit = 0; bit < headerEnd * 8; bit++) {
      const flipped = whole.slice()
      flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7))
      const outcome = attempt(() => filled(flipped))
      const isRefused = outcome instanceof PlateauError
      expect(isRefused || (bit >= 64 && outcome === dataBytes)).toBe(true)
      if (isRefused) refused++
    }
    expect(refused).toBeGreaterThan(headerEnd * 4)
  })

  const f32 = (begin: number, end: number, shape: unknown = [1]): object => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  })

  it.each([
    ['a header that is no JSON', file('{"a":', 0), 'its header is not JSON'],
    ['a header that is no object', file('[]', 0), 'its header is not a JSON object'],
    ['a header that is no UTF-8', file('{}', 0).with(8, 0xff), 'its header is not JSON'],
    ['metadata that is no text', file({ __metadata__: { step: 1 } }, 0), '__metadata__ holds something else than text'],
    ['a tensor that is no object', file({ w: 4 }, 4), 'tensor "w" is not described by an object'],
    ['an unknown dtype', file({ w: { dtype: 'F5', shape: [1], data_offsets: [0, 4] } }, 4), 'unknown dtype "F5"'],
    ['a negative size', file({ w: f32(0, 4, [-1]) }, 4), 'a shape that is not a list of sizes'],
    ['offsets that are no pair', file({ w: { dtype: 'F32', shape: [1], data_offsets: [4] } }, 4), 'not two numbers'],
    [
      'a shape that its bytes do not fill',
      file({ w: f32(0, 4, [2]) }, 4),
      'shape [2] and dtype F32 needs 8 bytes, but has 4',
    ],
    ['sizes whose product is beyond all files', file({ w: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4), 'but has 4'],
    ['a gap', file({ a: f32(0, 4), b: f32(8, 12) }, 12), 'tensor "b" begins at byte'],
    ['an overlap', file({ a: f32(0, 8, [2]), b: f32(4, 12, [2]) }, 12), 'overlaps the tensor before it'],
    ['bytes after the last tensor', file({ a: f32(0, 4) }, 9), 'goes on for 5 bytes'],
    [
      'a tensor twice',
      file(`{"w":${JSON.stringify(f32(0, 4))},"w":${JSON.stringify(f32(0, 4))}}`, 4),
      '"w" is there twice',
    ],
    ['an endless header', Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127, 0), 'its header claims to be'],
  ])('refuses %s, naming the file', (_, bytes, sentence) => {
    const error = failure(bytes)
    expect(error.code).toBe('MODEL_FILE_INVALID')
    expect(error.message).toContain(sentence)
    expect(error.message).toContain('m.safetensors')
  })

  it('says which tensor has a type that cannot be read', () => {
    const error = failure(file({ w: { dtype: 'I8', shape: [2], data_offsets: [0, 2] } }, 2))
    expect(error).toMatchObject({ code: 'TENSOR_DTYPE', facts: { file: 'm.safetensors', tensor: 'w', dtype: 'I8' } })
  })
})
