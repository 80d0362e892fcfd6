/** One test run: the folder that its worker processes share, and how everything it started is found and removed. */
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { brokerProcesses, killBroker, processStamp, runTag } from './processes.js'
import { readSettings } from './settings.js'
import { killWhenThisProcessEnds } from './watcher.js'

// Not PLATEAU_...: services refuse variables of that kind which they do not know, and tests start services.
const variable = 'KAFKA_DEV_RUN'

/** The folder of the test run that this process belongs to; undefined outside one. */
export function currentRun(): string | undefined {
  return process.env[variable] || undefined
}

/** Notes a broker's folder, so that the end of the run deletes it even when the test that made it crashed. */
export function noteFolder(run: string, directory: string): void {
  mkdirSync(join(run, 'folders'), { recursive: true })
  writeFileSync(join(run, 'folders', createHash('sha256').update(directory).digest('hex')), directory)
}

/** Removes what crashed runs left behind, and opens a run: child processes inherit it. */
export async function openRun(): Promise<string> {
  const root = join(realpathSync(tmpdir()), `plateau-kafka-${userInfo().username}`)
  mkdirSync(root, { recursive: true, mode: 0o700 })
  await closeAbandonedRuns(root)
  const run = join(root, `run-${randomUUID()}`)
  mkdirSync(run)
  writeFileSync(join(run, 'owner'), `${process.pid} ${processStamp(process.pid)}`)
  process.env[variable] = run
  killWhenThisProcessEnds(`${runTag}${run}`)
  return run
}

/** Those whose owner was killed before it could close them. */
export async function closeAbandonedRuns(root: string): Promise<void> {
  for (const name of readdirSync(root)) if (isAbandoned(join(root, name))) await closeRun(join(root, name))
}

/** Stops and deletes every broker that the run has started, then its folder. */
export async function closeRun(run: string): Promise<void> {
  const left = brokerProcesses().filter((broker) => broker.run === run)
  await Promise.all(left.map((broker) => killBroker(broker)))
  const noted = existsSync(join(run, 'folders')) ? readdirSync(join(run, 'folders')) : []
  for (const name of noted) deleteBrokerFolder(readFileSync(join(run, 'folders', name), 'utf8'))
  rmSync(run, { recursive: true, force: true })
}

/** Deletes a folder only when a broker's start has made it. */
export function deleteBrokerFolder(directory: string): void {
  if (readSettings(directory) !== undefined) rmSync(directory, { recursive: true, force: true })
}

function isAbandoned(run: string): boolean {
  const owner = existsSync(join(run, 'owner')) ? readFileSync(join(run, 'owner'), 'utf8') : undefined
  if (owner === undefined) return false // Being made at this moment.
  const [pid, ...stamp] = owner.split(' ')
  return processStamp(Number(pid)) !== stamp.join(' ')
}
