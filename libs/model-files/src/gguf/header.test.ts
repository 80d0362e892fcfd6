import { PlateauError } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { numberValue, textsValue, textValue, u32, u64, writeGguf, type GgufParts } from '../testing/write-gguf.js'
import { MoreBytesNeeded } from './cursor.js'
import { parseGgufHeader } from './header.js'

const row = (name: string, more: object = {}): NonNullable<GgufParts['tensors']>[number] => ({
  name,
  sizes: [4],
  type: 0,
  data: Buffer.alloc(16),
  ...more,
})

function outcome(bytes: Buffer): unknown {
  try {
    return parseGgufHeader(bytes, bytes.length, 'm.gguf')
  } catch (thrown) {
    return thrown
  }
}

/** A list inside a list inside a list, and so on. */
const nested = (depth: number): Buffer =>
  Buffer.concat([u32(9), ...Array.from({ length: depth }, () => [u32(9), u64(1)]).flat(), u32(0), u64(0)])

describe('the header of a GGUF file', () => {
  const metadata = [
    ['general.name', textValue('grüße')],
    ['n', numberValue(7)],
    ['list', textsValue(['a', ''])],
    ['big', Buffer.concat([u32(10), Buffer.alloc(8, 255)])],
  ] as const

  it.each([2, 3])('gives values, and places of tensors with the outermost axis first: version %i', (version) => {
    const tensors = [row('a', { sizes: [4, 1] }), row('b', { sizes: [32, 2], type: 8, data: Buffer.alloc(68) })]
    const bytes = writeGguf({ version, metadata, tensors })
    const header = parseGgufHeader(bytes, bytes.length, 'm')
    expect(Object.fromEntries(header.metadata)).toEqual({
      'general.name': 'grüße',
      n: 7,
      list: ['a', ''],
      big: 2n ** 64n - 1n,
    })
    const [a, b] = [header.tensors.get('a')!, header.tensors.get('b')!]
    expect(a).toMatchObject({ shape: [1, 4], type: { name: 'F32' }, end: a.begin + 16 })
    expect(b).toMatchObject({ shape: [2, 32], type: { name: 'Q8_0' }, begin: a.begin + 32, end: bytes.length })
  })

  it('asks for more where the bytes at hand end before it does, and calls a file that ends there truncated', () => {
    const whole = writeGguf({ metadata, tensors: [row('a')] })
    for (let length = 24; length < whole.length - 16; length++) {
      const part = whole.subarray(0, length)
      const asked = ((): unknown => {
        try {
          return parseGgufHeader(part, whole.length, 'm')
        } catch (thrown) {
          return thrown
        }
      })()
      const isWhole = !(asked instanceof MoreBytesNeeded)
      expect(isWhole || asked.bytes > length).toBe(true)
      expect(outcome(part)).toMatchObject({
        code: 'MODEL_FILE_TRUNCATED',
        facts: { file: 'm.gguf', foundBytes: length },
      })
    }
  })

  const long = 'x'.repeat(300)
  it.each<[string, Buffer, string, string]>([
    ['another beginning', Buffer.alloc(64), 'MODEL_FILE_INVALID', 'does not begin with "GGUF"'],
    ['version 1', writeGguf({ version: 1 }), 'MODEL_UNSUPPORTED', 'GGUF version 1'],
    ['the other order of bytes', writeGguf({ version: 0x03000000 }), 'MODEL_UNSUPPORTED', 'big-endian'],
    [
      'the same key twice',
      writeGguf({
        metadata: [
          ['n', numberValue(1)],
          ['n', numberValue(2)],
        ],
      }),
      'MODEL_FILE_INVALID',
      'key "n" is there twice',
    ],
    ['an unknown kind of value', writeGguf({ metadata: [['n', u32(13)]] }), 'MODEL_FILE_INVALID', 'unknown type 13'],
    [
      'a boolean that is none',
      writeGguf({ metadata: [['n', Buffer.concat([u32(7), Buffer.from([2])])]] }),
      'MODEL_FILE_INVALID',
      'a boolean has the value 2',
    ],
    [
      'a list longer than the file',
      writeGguf({ metadata: [['n', Buffer.concat([u32(9), u32(6), u64(2 ** 26)])]] }),
      'MODEL_FILE_TRUNCATED',
      'an array of 67108864 values',
    ],
    [
      'a text longer than any',
      writeGguf({ metadata: [['n', Buffer.concat([u32(8), u64(2 ** 50)])]] }),
      'MODEL_FILE_INVALID',
      'the length of a text is',
    ],
    [
      'lists without end',
      writeGguf({ metadata: [['n', nested(9)]] }),
      'MODEL_FILE_INVALID',
      'arrays lie more than 3 deep',
    ],
    [
      'the same tensor twice',
      writeGguf({ tensors: [row('a'), row('a')] }),
      'MODEL_FILE_INVALID',
      'tensor "a" is there twice',
    ],
    [
      'an unknown type',
      writeGguf({ tensors: [row('a', { type: 77 })] }),
      'MODEL_FILE_INVALID',
      'tensor "a" has the unknown type 77',
    ],
    ['no axes', writeGguf({ tensors: [row('a', { sizes: [] })] }), 'MODEL_FILE_INVALID', 'tensor "a" has 0 axes'],
    [
      'five axes',
      writeGguf({ tensors: [row('a', { sizes: [1, 1, 1, 1, 4] })] }),
      'MODEL_FILE_INVALID',
      'tensor "a" has 5 axes',
    ],
    [
      'an axis of nothing',
      writeGguf({ tensors: [row('a', { sizes: [0] })] }),
      'MODEL_FILE_INVALID',
      'tensor "a" has the shape [0]',
    ],
    [
      'rows that are no whole blocks',
      writeGguf({ tensors: [row('a', { sizes: [31], type: 8 })] }),
      'MODEL_FILE_INVALID',
      'tensor "a" has rows of 31 values',
    ],
    [
      'a tensor beyond the file',
      writeGguf({ tensors: [row('a', { sizes: [5] })] }),
      'MODEL_FILE_TRUNCATED',
      'tensor "a"',
    ],
    [
      'sizes beyond all files',
      writeGguf({ tensors: [row('a', { sizes: [2 ** 50, 2 ** 50, 2 ** 50, 2 ** 50] })] }),
      'MODEL_FILE_TRUNCATED',
      'tensor "a"',
    ],
    [
      'tensors in the same place',
      writeGguf({ tensors: [row('a'), row('b', { offset: 0 })] }),
      'MODEL_FILE_INVALID',
      'tensor "b" begins at byte',
    ],
    ['a name that is too long', writeGguf({ tensors: [row(long)] }), 'MODEL_FILE_INVALID', 'name has 300 characters'],
    [
      'a wrong alignment',
      writeGguf({ metadata: [['general.alignment', numberValue(7)]] }),
      'MODEL_FILE_INVALID',
      'general.alignment is 7',
    ],
  ])('is refused with %s', (_, bytes, code, sentence) => {
    const error = outcome(bytes)
    expect(error).toBeInstanceOf(PlateauError)
    expect(error).toMatchObject({
      code,
      message: expect.stringContaining(sentence) as string,
      facts: { file: 'm.gguf' },
    })
  })
})
