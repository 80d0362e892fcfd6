import { readFile } from 'node:fs/promises'

/** Beside src/ and dist/ alike. */
const IMAGE = new URL('../plateau.binpb', import.meta.url)

/** Every message and service of `proto/` as an encoded FileDescriptorSet, comments included: what servers reflect. */
export function readDescriptorSet(): Promise<Uint8Array> {
  return readFile(IMAGE)
}
