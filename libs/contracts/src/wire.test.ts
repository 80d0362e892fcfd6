import { expect, test } from 'vitest'
import { PlateauError } from './errors.js'
import { frameConfluent, unframe } from './wire.js'

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const ascending = (length: number) => Uint8Array.from({ length }, (_, i) => (i + 8) % 256)

test('a frame is 0x00, the id big endian, the message path and the payload, byte for byte', () => {
  const payload = hex('08 01')
  expect(frameConfluent(1, 0, payload).toString('hex')).toBe('0000000001' + '00' + '0801')
  expect(frameConfluent(100_000, 3, payload).toString('hex')).toBe('00000186a0' + '0206' + '0801')
  expect(frameConfluent(0x7fff_ffff, 64, payload).toString('hex')).toBe('007fffffff' + '028001' + '0801')
  expect(frameConfluent(0, 0x7fff_ffff, payload).toString('hex')).toBe('0000000000' + '02feffffff0f' + '0801')
})

test('payloads of every awkward size come back, with their id and path', () => {
  for (const size of [0, 1, 2, 5, 6, 127, 128, 129, 4095, 65_537]) {
    for (const [id, index] of [
      [1, 0],
      [77, 1],
      [70_000, 63],
      [0x7fff_ffff, 64],
      [9, 8191],
      [9, 8192],
    ] as const) {
      const { payload, schemaId, messagePath } = unframe(frameConfluent(id, index, ascending(size)))
      expect({ payload: Buffer.from(payload), schemaId, messagePath }).toEqual({
        payload: Buffer.from(ascending(size)),
        schemaId: id,
        messagePath: [index],
      })
    }
  }
})

test('a bare Protobuf value, the empty one included, is handed back as it is', () => {
  for (const bare of [hex(''), hex('08 01'), ascending(1001)]) {
    expect(unframe(bare)).toEqual({ payload: bare })
  }
})

test('frames that other producers write are understood: long-hand [0], nested messages, views at an odd offset', () => {
  expect(unframe(hex('00 00000007 02 00 0801'))).toEqual({ payload: hex('0801'), schemaId: 7, messagePath: [0] })
  expect(unframe(hex('00 00000007 04 02 00 0801'))).toEqual({ payload: hex('0801'), schemaId: 7, messagePath: [1, 0] })
  const shifted = hex('ff 00 00000102 00 0801').subarray(1)
  expect(unframe(shifted)).toEqual({ payload: hex('0801'), schemaId: 258, messagePath: [0] })
})

test('a value that begins like a frame and is not one is refused with its first bytes', () => {
  const refused: Record<string, string> = {
    '00': 'ends within its first six bytes',
    '00 00000001': 'ends within its first six bytes',
    '00 ffffffff 00 0801': 'schema id is -1',
    '00 00000001 02': 'ends within its message path',
    '00 00000001 02 80': 'ends within its message path',
    '00 00000001 01 02': 'would have -1 indices',
    '00 00000001 8008 02': 'would have 512 indices',
    '00 00000001 02 01': 'message path holds -1',
    '00 00000001 02 ffffffffff01': 'larger than 32 bits',
    '00 00000001 02 ffffffff7f': 'larger than 32 bits',
  }
  for (const [bytes, why] of Object.entries(refused)) {
    const attempt = () => unframe(hex(bytes))
    expect(attempt).toThrow(PlateauError)
    expect(attempt).toThrow(why)
    expect(attempt).toThrow(expect.objectContaining({ code: 'BAD_FRAME', retryable: false }))
  }
})

test('an id or index that does not fit 31 bits is refused, not wrapped', () => {
  for (const wrong of [-1, 0.5, 2 ** 31, Number.NaN]) {
    expect(() => frameConfluent(wrong, 0, hex('08'))).toThrow(RangeError)
    expect(() => frameConfluent(1, wrong, hex('08'))).toThrow(RangeError)
  }
})
