/** A lock between processes: a file that names its owner. A lock whose owner has died is taken away. */
import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaDevError } from './errors.js'
import { processStamp } from './processes.js'

export interface LockOptions {
  readonly patienceMs?: number
  readonly signal?: AbortSignal | undefined
}

/** Runs `work` while no other process, and no other caller in this one, holds `file`. */
export async function withLock<T>(file: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const deadlineMs = performance.now() + (options.patienceMs ?? 300_000)
  mkdirSync(dirname(file), { recursive: true })
  while (!tryTake(file)) {
    if (performance.now() > deadlineMs) {
      const owner = contentOf(file) ?? 'nobody'
      throw new KafkaDevError('LOCKED', `${file} is held by process ${owner.split(' ')[0]}, which lives`, {
        facts: { file, owner },
      })
    }
    await sleep(50 + Math.random() * 50)
    options.signal?.throwIfAborted()
  }
  try {
    return await work()
  } finally {
    rmSync(file, { force: true })
  }
}

function tryTake(file: string): boolean {
  if (create(file)) return true
  const owner = contentOf(file)
  if (owner !== undefined && isDead(owner)) removeDead(file, owner)
  return false
}

/** Appears at once with its content, as `link` fails when the name exists: nobody reads a lock without an owner. */
function create(file: string): boolean {
  const draft = `${file}.${randomUUID()}`
  writeFileSync(draft, `${process.pid} ${processStamp(process.pid)}`)
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(draft, { force: true })
  }
}

function isDead(owner: string): boolean {
  const [pid, ...stamp] = owner.split(' ')
  return processStamp(Number(pid)) !== stamp.join(' ')
}

/** Two that find the same dead owner must not remove each other's new lock: only one at a time may look and remove. */
function removeDead(file: string, owner: string): void {
  const guard = `${file}.removing`
  if (!create(guard)) {
    if (ageMs(guard) > 10_000) rmSync(guard, { force: true }) // Its owner died within these few lines.
    return
  }
  try {
    if (contentOf(file) === owner) rmSync(file, { force: true })
  } finally {
    rmSync(guard, { force: true })
  }
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - statSync(file).mtimeMs
  } catch {
    return 0
  }
}
