import { decodeSums, encodeSums } from './ridge-sums.js'
import { SumBank, type SumBankOptions, type SumKey } from './sum-bank.js'

interface Header {
  readonly options: SumBankOptions
  readonly positions: number
  readonly cells: readonly { readonly key: SumKey; readonly bytes: number }[]
}

const MAGIC = 'PLSUMS1\n'

/** "PLSUMS1\n", the header's length (u32), the header as JSON, then the sums of every cell as encodeSums writes them. */
export function encodeSumBank(bank: SumBank): Uint8Array {
  const { options, positions, cells } = bank.state
  const parts = cells.map(({ sums }) => encodeSums(sums))
  const header: Header = { options, positions, cells: cells.map(({ key }, i) => ({ key, bytes: parts[i]!.length })) }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const length = new Uint8Array(Uint32Array.of(text.length).buffer)
  return joined([new TextEncoder().encode(MAGIC), length, text, ...parts])
}

/** Throws RangeError when the bytes are not what encodeSumBank writes. */
export function decodeSumBank(bytes: Uint8Array): SumBank {
  const start = MAGIC.length + 4
  if (bytes.length < start || new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new RangeError(`${bytes.length} bytes do not begin like a bank of sums`)
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true)
  const { options, positions, cells } = parsedHeader(bytes.subarray(start, start + length))
  let at = start + length
  if (cells.reduce((sum, cell) => sum + cell.bytes, at) !== bytes.length) {
    throw new RangeError(`a bank of ${cells.length} cells has ${bytes.length} bytes: truncated?`)
  }
  const read = cells.map(({ key, bytes: size }) => ({ key, sums: decodeSums(bytes.subarray(at, (at += size))) }))
  return SumBank.of({ options, positions, cells: read })
}

function parsedHeader(bytes: Uint8Array): Header {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Header
  } catch (cause) {
    throw new RangeError('the header of a bank of sums is damaged', { cause })
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
