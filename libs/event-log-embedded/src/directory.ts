import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PlateauError } from '@plateau/contracts'
import { asLogError } from './log-errors.js'

const MARKER = 'plateau-event-log.json'
const FORMAT = { format: 'plateau-event-log', version: 1 }

export interface LogDirectory {
  /** Topics, groups, leases. */
  readonly controlFile: string
  readonly topicFile: (topic: string) => string
  readonly wakeDirectory: string
}

/**
 * Creates the directory, or checks that it is ours: a mistyped path must not fill someone's home folder. Only the
 * owner may enter it.
 */
export function prepareDirectory(directory: string): LogDirectory {
  const topics = join(directory, 'topics')
  const wakeDirectory = join(directory, 'wake')
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    claim(directory)
    mkdirSync(topics, { recursive: true, mode: 0o700 })
    mkdirSync(wakeDirectory, { recursive: true, mode: 0o700 })
  } catch (thrown) {
    throw asLogError(thrown, directory)
  }
  return {
    controlFile: join(directory, 'log.db'),
    topicFile: (topic) => join(topics, `${topic}.db`),
    wakeDirectory,
  }
}

function claim(directory: string): void {
  const names = readdirSync(directory)
  if (!names.includes(MARKER)) {
    const foreign = names.find((name) => !name.startsWith(MARKER))
    if (foreign !== undefined) {
      throw new PlateauError('LOG_UNAVAILABLE', `${directory} is not an event log: it holds ${foreign}.`, {
        facts: { path: directory, found: foreign },
      })
    }
    writeMarker(directory)
  }
  checkMarker(join(directory, MARKER))
}

/** Whole or not at all, also when several processes start at once: written aside, then linked into place. */
function writeMarker(directory: string): void {
  const aside = join(directory, `${MARKER}.${process.pid}.${Math.trunc(performance.now() * 1000)}`)
  writeFileSync(aside, `${JSON.stringify(FORMAT)}\n`, { mode: 0o600 })
  try {
    linkSync(aside, join(directory, MARKER))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown
  } finally {
    rmSync(aside, { force: true })
  }
}

function checkMarker(path: string): void {
  let found: unknown
  try {
    found = JSON.parse(readFileSync(path, 'utf8'))
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown
  }
  if (JSON.stringify(found) !== JSON.stringify(FORMAT)) {
    throw new PlateauError('LOG_UNAVAILABLE', `${path} does not describe an event log of format version 1.`, {
      facts: { path, expectedVersion: FORMAT.version },
    })
  }
}
