/** One Kafka node as a process: its files, its log formatted once, its launch, and the moment it serves. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { certificateUser } from './broker-security.js'
import { makeCertificates } from './certificates.js'
import { withClassArchive } from './class-archive.js'
import { KafkaDevError } from './errors.js'
import { resolveKafka } from './jars.js'
import { javaOrRefuse, lastLines, runProgram } from './java.js'
import { isBroker, killBroker, processOf, tags, directoryTag } from './processes.js'
import { clientProperties, log4jProperties, serverProperties } from './server-properties.js'
import { readSettings, writeSettings, type NodeSettings } from './settings.js'
import { currentRun, noteFolder } from './test-run.js'
import { killWhenThisProcessEnds } from './watcher.js'

export interface LaunchOptions {
  /** Leave the broker running when this process ends. */
  readonly leaveRunning: boolean
  readonly startupTimeoutMs: number
  /** For the JVM, in place of the class archive. */
  readonly jvmOptions?: readonly string[]
  readonly onProgress?: ((line: string) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export const logFile = (directory: string) => join(directory, 'broker.log')
/** Beside the folder and not in it: whoever waits for it must outlast a `destroy`. */
export const lockFile = (directory: string) => `${directory}.lock`
export const clientPropertiesFile = (directory: string) => join(directory, 'client.properties')

/** A start with the jars, the files and the format it takes; nothing when the node runs already. Await `serving` next. */
export async function launch(directory: string, settings: NodeSettings, options: LaunchOptions): Promise<void> {
  if (processOf(directory) !== undefined) return
  const libs = await resolveKafka(options)
  await writeFiles(directory, settings)
  const java = { ...options, libs, jvmOptions: options.jvmOptions ?? withClassArchive(libs) }
  if (!isFormatted(directory)) await format(directory, settings, java)
  launchJava(directory, settings, java)
}

/** Resolves when the node serves; throws with the reason from its log when it exits, or is not up in time. */
export async function serving(directory: string, options: LaunchOptions): Promise<void> {
  const deadlineMs = performance.now() + options.startupTimeoutMs
  const pid = processOf(directory)
  while (pid !== undefined && isBroker(pid, directory)) {
    if (saysItStarted(directory)) return
    if (options.signal?.aborted || performance.now() > deadlineMs) {
      await killBroker({ pid, directory })
      options.signal?.throwIfAborted()
      throw failure(directory, `is not up after ${options.startupTimeoutMs / 1000} s`)
    }
    await sleep(50)
  }
  throw failure(directory, 'exited')
}

/** The log is started afresh at every start, so this is about the last one. */
export function saysItStarted(directory: string): boolean {
  return logOf(directory).includes('Kafka Server started')
}

type JavaOptions = LaunchOptions & { readonly libs: string; readonly jvmOptions: readonly string[] }

async function writeFiles(directory: string, settings: NodeSettings): Promise<void> {
  mkdirSync(directory, { recursive: true })
  const run = currentRun()
  // Only one that is made now: an older folder is somebody's own, and the end of the run must not delete it.
  if (run !== undefined && !isFormatted(directory)) noteFolder(run, directory)
  writeSettings(directory, settings)
  if (settings.security === 'sasl_ssl') await makeCertificates(directory, certificateUser(settings.users))
  writeFileSync(join(directory, 'server.properties'), serverProperties(directory, settings), { mode: 0o600 })
  writeFileSync(clientPropertiesFile(directory), clientProperties(directory, settings), { mode: 0o600 })
  writeFileSync(log4jFile(directory), log4jProperties('SYSTEM_OUT', 'info'))
}

export const isFormatted = (directory: string) => existsSync(formatMarker(directory))

const formatMarker = (directory: string) => join(directory, 'formatted')

/** Once for each folder. The marker is written only when all went well. */
async function format(directory: string, settings: NodeSettings, options: JavaOptions): Promise<void> {
  rmSync(join(directory, 'data'), { recursive: true, force: true })
  const voters = settings.voters.map((v) => `${v.nodeId}@127.0.0.1:${v.controllerPort}:${v.directoryId}`).join(',')
  const scram = settings.users.flatMap(({ name, password }) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((m) => ['--add-scram', `${m}=[name=${name},password=${password}]`]),
  )
  const tool = ['kafka.tools.StorageTool', 'format', '-t', settings.clusterId, '--initial-controllers', voters]
  const config = ['-c', join(directory, 'server.properties')]
  await runProgram(
    javaOrRefuse(),
    [
      ...withClassArchive(options.libs),
      ...jvmOptions(128),
      ...classPath(directory, options),
      ...tool,
      ...config,
      ...(settings.security === 'sasl_ssl' ? scram : []),
    ],
    { signal: options.signal, timeoutMs: options.startupTimeoutMs },
  )
  writeFileSync(formatMarker(directory), '')
}

function launchJava(directory: string, settings: NodeSettings, options: JavaOptions): void {
  const log = logFile(directory)
  if (existsSync(log)) renameSync(log, `${log}.1`)
  const output = openSync(log, 'w')
  const main = ['kafka.Kafka', join(directory, 'server.properties')]
  try {
    const child = spawn(
      javaOrRefuse(),
      [
        ...options.jvmOptions,
        ...jvmOptions(settings.heapMb),
        ...tags(directory, currentRun()),
        ...classPath(directory, options),
        ...main,
      ],
      // A session of its own, so that Ctrl-C in a test run does not reach the broker.
      { detached: true, stdio: ['ignore', output, output] },
    )
    child.on('error', () => {}) // Shows as "exited", with the reason missing from the log.
    child.unref()
    if (!options.leaveRunning) child.once('exit', killWhenThisProcessEnds(`${directoryTag}${directory}`))
  } finally {
    closeSync(output)
  }
}

function failure(directory: string, what: string): KafkaDevError {
  const log = logOf(directory)
  const settings = readSettings(directory)
  const taken = /Address already in use|Failed to bind|failed to bind/.test(log)
  const reasons = log.split('\n').filter((line) => /ERROR|FATAL|Exception|Error:/.test(line))
  const said = reasons.length > 0 ? reasons.slice(0, 5).join('\n') : lastLines(log, 5)
  const sentence = taken
    ? `a port of the broker in ${directory} is taken (${Object.values(settings?.ports ?? {}).join(', ')})`
    : `the broker in ${directory} ${what}; its log ${logFile(directory)} says\n${said}`
  return new KafkaDevError(taken ? 'PORT_TAKEN' : 'FAILED', sentence, {
    facts: { directory, port: settings?.ports.client },
  })
}

function logOf(directory: string): string {
  return existsSync(logFile(directory)) ? readFileSync(logFile(directory), 'utf8') : ''
}

const log4jFile = (directory: string) => join(directory, 'log4j2.properties')

const classPath = (directory: string, { libs }: JavaOptions) => [
  `-Dlog4j2.configurationFile=${log4jFile(directory)}`,
  '-cp',
  join(libs, '*'),
]

/** Small and quick to start. */
const jvmOptions = (heapMb: number) => [
  `-Xms${Math.min(96, heapMb)}m`,
  `-Xmx${heapMb}m`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:+ExitOnOutOfMemoryError',
]
