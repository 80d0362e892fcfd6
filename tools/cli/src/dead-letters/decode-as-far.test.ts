import { frameConfluent, topics, TokenWindow } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { tokenWindow } from '../testing/windows.js'
import { decodeAsFar } from './decode-as-far.js'

const codec = topics.tokenDistributions.codec
const window = tokenWindow('sample', [1, 2, 3])
const whole = TokenWindow.encode(window).finish()

test('a whole message decodes whole, framed for a registry or not', () => {
  expect(decodeAsFar(codec, whole)).toEqual({ message: window, stopped: undefined })
  expect(decodeAsFar(codec, frameConfluent(7, 2, whole))).toEqual({ message: window, stopped: undefined })
})

test('a message that is cut off anywhere still shows the fields before the cut', () => {
  const { provenance, sampleId } = window
  const sampleIdEnds = TokenWindow.encode(TokenWindow.fromPartial({ provenance, sampleId })).finish().length
  for (let length = sampleIdEnds; length < whole.length; length++) {
    const { message, stopped } = decodeAsFar(codec, whole.subarray(0, length))
    expect(message).toMatchObject({ provenance, sampleId })
    expect(stopped?.atByte ?? length).toBeLessThanOrEqual(length)
  }
  const cut = decodeAsFar(codec, whole.subarray(0, whole.length - 2))
  expect(cut.message).toMatchObject({ tokenIds: [1, 2, 3] })
  expect(cut.stopped?.why).toMatch(/^field \d+ is cut off$/)
})

test('what is no Protobuf message is said to be none', () => {
  expect(decodeAsFar(codec, Buffer.from('\0\0\0'))).toEqual({
    message: undefined,
    stopped: { atByte: 0, why: 'field number 0: this is no Protobuf message' },
  })
  const json = decodeAsFar(codec, Buffer.from('{"sample_id": "x"}'))
  expect(json.stopped?.why).toBe('field 15 has wire type 3, which no field of ours has')
  expect(json.message).toBeUndefined()
})
