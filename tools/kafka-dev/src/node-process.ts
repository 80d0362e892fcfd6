/** One Kafka node as a process: its files, its log formatted once, its launch, and the moment it serves. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeCertificates } from './certificates.js'
import { KafkaDevError } from './errors.js'
import { javaCommand, lastLines, runProgram } from './java.js'
import { isBroker, killBroker, processOf, tags, directoryTag } from './processes.js'
import { clientProperties, log4jProperties, serverProperties } from './server-properties.js'
import { readSettings, writeSettings, type NodeSettings } from './settings.js'
import { currentRun, noteFolder } from './test-run.js'
import { killWhenThisProcessEnds } from './watcher.js'

export interface LaunchOptions {
  /** The folder that holds Kafka's jars. */
  readonly libs: string
  /** Leave the broker running when this process ends. */
  readonly leaveRunning: boolean
  readonly startupTimeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export const logFile = (directory: string) => join(directory, 'broker.log')
export const clientPropertiesFile = (directory: string) => join(directory, 'client.properties')

/** A start with the jars, the files and the format it takes; nothing when the node runs already. Await `serving` next. */
export async function launch(directory: string, settings: NodeSettings, options: LaunchOptions): Promise<void> {
  if (processOf(directory) !== undefined) return
  await writeFiles(directory, settings)
  await format(directory, settings, options)
  launchJava(directory, settings, options)
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

async function writeFiles(directory: string, settings: NodeSettings): Promise<void> {
  const run = currentRun()
  if (run !== undefined) noteFolder(run, directory)
  writeSettings(directory, settings)
  if (settings.security === 'sasl_ssl') await makeCertificates(directory, certificateUser(settings))
  writeFileSync(join(directory, 'server.properties'), serverProperties(directory, settings), { mode: 0o600 })
  writeFileSync(clientPropertiesFile(directory), clientProperties(directory, settings), { mode: 0o600 })
  writeFileSync(log4jFile(directory), log4jProperties('SYSTEM_OUT', 'info'))
}

/** Whom the client certificate stands for: the first user that is not the super user. */
export function certificateUser({ users }: NodeSettings): string {
  return (users[1] ?? users[0])?.name ?? 'client'
}

/** Once for each folder. The marker is written only when all went well. */
async function format(directory: string, settings: NodeSettings, options: LaunchOptions): Promise<void> {
  const marker = join(directory, 'formatted')
  if (existsSync(marker)) return
  rmSync(join(directory, 'data'), { recursive: true, force: true })
  const voters = settings.voters.map((v) => `${v.nodeId}@127.0.0.1:${v.controllerPort}:${v.directoryId}`).join(',')
  const scram = settings.users.flatMap(({ name, password }) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((m) => ['--add-scram', `${m}=[name=${name},password=${password}]`]),
  )
  const tool = ['kafka.tools.StorageTool', 'format', '-t', settings.clusterId, '--initial-controllers', voters]
  const config = ['-c', join(directory, 'server.properties')]
  await runProgram(
    java(),
    [
      ...jvmOptions(128),
      ...classPath(directory, options),
      ...tool,
      ...config,
      ...(settings.security === 'sasl_ssl' ? scram : []),
    ],
    { signal: options.signal, timeoutMs: options.startupTimeoutMs },
  )
  writeFileSync(marker, '')
}

function launchJava(directory: string, settings: NodeSettings, options: LaunchOptions): void {
  const log = logFile(directory)
  if (existsSync(log)) renameSync(log, `${log}.1`)
  const output = openSync(log, 'w')
  const main = ['kafka.Kafka', join(directory, 'server.properties')]
  try {
    const child = spawn(
      java(),
      [...jvmOptions(settings.heapMb), ...tags(directory, currentRun()), ...classPath(directory, options), ...main],
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

const classPath = (directory: string, { libs }: LaunchOptions) => [
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

function java(): string {
  const command = javaCommand()
  if (command === undefined) throw new KafkaDevError('UNAVAILABLE', 'no java on the path')
  return command
}
