/**
 * Half of a broker's start is Java reading classes. Once per machine a broker is started and stopped only to write down
 * what it read (a JVM class data sharing archive, about 50 MB); every later start maps that file instead.
 */
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { javaOrRefuse, javaVersionText } from './java.js'
import { withLock } from './lock.js'

/** The JVM options that use the archive; none when there is none. It saves time and does nothing else. */
export function withClassArchive(libs: string): string[] {
  const file = archiveFile(libs)
  return existsSync(file) ? [`-XX:SharedArchiveFile=${file}`] : []
}

/** Makes the archive unless it is there: `rehearse` starts a broker with that JVM option and ends it in good order. */
export async function makeClassArchive(libs: string, rehearse: (jvmOption: string) => Promise<void>): Promise<void> {
  const file = archiveFile(libs)
  const refused = `${file}.refused`
  const isDecided = () => existsSync(file) || existsSync(refused) || !isWritable(libs)
  if (isDecided()) return
  await withLock(`${file}.lock`, async () => {
    if (isDecided()) return
    const draft = `${file}.new`
    rmSync(draft, { force: true })
    await rehearse(`-XX:ArchiveClassesAtExit=${draft}`)
    if (existsSync(draft)) renameSync(draft, file)
    else writeFileSync(refused, '') // Not every Java can. Asking again would cost more than it could save.
  })
}

/** A cache that somebody else fills may be read-only. */
function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Another Java's archive is of no use. */
function archiveFile(libs: string): string {
  const java = createHash('sha256').update(javaVersionText(javaOrRefuse())).digest('hex')
  return join(libs, `classes-${java.slice(0, 12)}.jsa`)
}
