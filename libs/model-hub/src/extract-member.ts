import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { openPromise } from 'yauzl'

/** Writes one file of a zip archive to `to`, flushed. Its length must be `bytes`: nothing larger is unpacked. */
export async function extractMember(archive: string, member: string, bytes: number, to: string): Promise<void> {
  const zip = await openPromise(archive)
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName !== member) continue
      if (entry.uncompressedSize !== bytes) {
        throw new Error(`${member} in ${archive} has ${entry.uncompressedSize} bytes, expected ${bytes}`)
      }
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(to, { flush: true }))
      return
    }
    throw new Error(`${archive} holds no ${member}`)
  } finally {
    zip.close()
  }
}
