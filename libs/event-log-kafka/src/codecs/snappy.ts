import { PlateauError } from '@plateau/contracts'
import { uncompress } from 'snappyjs'

// The framing of snappy-java, which Kafka's own clients write: this, two versions (int32 each), then blocks with their
// lengths (int32). librdkafka writes one bare block.
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = XERIAL_MAGIC.length + 8

export function decompressSnappy(bytes: Buffer, maxBytes: number): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return uncompress(bytes, maxBytes)
  const blocks: Buffer[] = []
  let left = maxBytes
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length;) {
    const length = at + 4 <= bytes.length ? bytes.readInt32BE(at) : -1
    const end = at + 4 + length
    if (length < 0 || end > bytes.length) {
      throw new PlateauError('BAD_BATCH', 'a snappy block ends beyond its batch', {
        facts: { bytes: bytes.length, at },
      })
    }
    const block = uncompress(bytes.subarray(at + 4, end), left)
    blocks.push(block)
    left -= block.length
    at = end
  }
  return Buffer.concat(blocks)
}
