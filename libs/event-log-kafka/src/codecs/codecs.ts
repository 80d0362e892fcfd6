import { promisify } from 'node:util'
import { gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrame, decompressFrame } from 'lz4-napi'
import type { Compression } from '../options.js'
import { decompressSnappy } from './snappy.js'

/** Far above any batch that a broker takes: what inflates to more is not a batch. */
const MAX_INFLATED_BYTES = 256 * 1024 * 1024

const { CompressionTypes, CompressionCodecs } = kafkajs
const zstd = promisify(zstdCompress)
const unzstd = promisify(zstdDecompress)
const gzipped = promisify(gzip)

/** Kafka's number for each, as it stands in a batch's attributes. */
export const COMPRESSION_IDS: Readonly<Record<Compression, number>> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

export async function compress(kind: Compression, bytes: Buffer): Promise<Buffer> {
  switch (kind) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipped(bytes)
    case 'lz4':
      return compressFrame(bytes)
    case 'zstd':
      return zstd(bytes)
  }
}

/**
 * Teaches kafkajs what it does not know itself; it knows gzip. Without, one such record from anybody stops a consumer for
 * good.
 */
export function registerCodecs(): void {
  register(CompressionTypes.Snappy, undefined, async (bytes) => decompressSnappy(bytes, MAX_INFLATED_BYTES))
  register(CompressionTypes.LZ4, 'lz4', (bytes) => decompressFrame(bytes))
  register(CompressionTypes.ZSTD, 'zstd', (bytes) => unzstd(bytes, { maxOutputLength: MAX_INFLATED_BYTES }))
}

type Added = Exclude<keyof typeof CompressionCodecs, typeof CompressionTypes.GZIP>

function register(type: Added, kind: Compression | undefined, decompress: (bytes: Buffer) => Promise<Buffer>): void {
  const codec = {
    compress: async ({ buffer }: { readonly buffer: Buffer }) => {
      if (kind === undefined) throw new TypeError('we read snappy, and do not write it')
      return compress(kind, buffer)
    },
    decompress,
  }
  CompressionCodecs[type] = () => codec
}
