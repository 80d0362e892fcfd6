/** What one broker and three have in common: a folder made or carried on, ports found, nodes launched together. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { KafkaDevError } from './errors.js'
import { launch, serving, type LaunchOptions } from './node-process.js'
import { killBroker, processOf } from './processes.js'
import type { NodeSettings } from './settings.js'
import { currentRun, deleteBrokerFolder } from './test-run.js'

export interface StartOptions {
  /** Default: 512 for a broker on its own, 384 for each of a cluster. */
  readonly heapMb?: number
  /** Added to server.properties, or in place of what stands there. */
  readonly extraProperties?: Readonly<Record<string, string>>
  /** Let brokers live on when this process ends. Default: they are killed then, however it ends. */
  readonly leaveRunning?: boolean
  /** Default: 120 000. */
  readonly startupTimeoutMs?: number
  /** Told about the one download. Default: standard error. */
  readonly onProgress?: (line: string) => void
  /** Gives the start up; does not stop what has started. */
  readonly signal?: AbortSignal
}

export interface Node {
  readonly directory: string
  readonly settings: NodeSettings
}

export function launchOptions(options: StartOptions): LaunchOptions {
  return {
    leaveRunning: options.leaveRunning ?? false,
    startupTimeoutMs: options.startupTimeoutMs ?? 120_000,
    onProgress: options.onProgress,
    signal: options.signal,
  }
}

/** Makes the folder where none is given or there. */
export function makeFolder(given: string | undefined): string {
  if (given === undefined) return realpathSync(mkdtempSync(join(currentRun() ?? tmpdir(), 'kafka-')))
  const directory = resolve(given)
  // Kafka takes a comma for the end of a folder's name; quotes and backslashes have a meaning in its files.
  if (/[,"'\\\r\n]/.test(directory)) {
    const sentence = `a broker's folder may not have a comma, quote or backslash in its path: ${directory}`
    throw new KafkaDevError('BAD_OPTION', sentence)
  }
  mkdirSync(directory, { recursive: true })
  return realpathSync(directory)
}

/** A folder that holds something else is left alone: `destroy` would delete it. */
export function refuseForeignFolder(directory: string, settingsFile: string): void {
  if (readdirSync(directory).length > 0 && !existsSync(join(directory, settingsFile)))
    throw new KafkaDevError('WRONG_FOLDER', `${directory} is not empty and holds no broker: give another folder`)
}

/** Starts the nodes that `prepare` describes. While none was formatted yet they may move to other ports. */
export async function startNodes(
  prepare: () => Promise<readonly Node[]>,
  options: LaunchOptions & { mayMove: boolean },
): Promise<readonly Node[]> {
  for (let attempt = 1; ; attempt++) {
    const nodes = await prepare()
    try {
      await all(nodes, ({ directory, settings }) => launch(directory, settings, options))
      await all(nodes, ({ directory }) => serving(directory, options))
      return nodes
    } catch (error) {
      await all(nodes, endAgain)
      const portTaken = error instanceof KafkaDevError && error.code === 'PORT_TAKEN'
      if (!portTaken || !options.mayMove || attempt === 3) throw error
      for (const { directory } of nodes) deleteBrokerFolder(directory)
    }
  }
}

/** 16 random bytes as Kafka writes them. Not with a dash in front: a command line would take it for an option. */
export function newId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? newId() : id
}

/** Waits for all of them, also when one fails: nothing is left half done behind the caller's back. */
async function all(nodes: readonly Node[], work: (node: Node) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(nodes.map(work))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}

async function endAgain({ directory }: Node): Promise<void> {
  const pid = processOf(directory)
  if (pid !== undefined) await killBroker({ pid, directory })
}
