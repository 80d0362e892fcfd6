/**
 * Our brokers are known by a tag on their command line. A pid alone proves nothing: pids are used again, and a zombie
 * still has one.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaDevError } from './errors.js'

export const directoryTag = '-Dkafka.dev.dir='
export const runTag = '-Dkafka.dev.run='

export interface BrokerProcess {
  readonly pid: number
  readonly directory: string
  /** The shared folder of the test run that started it, if one did. */
  readonly run: string | undefined
}

/** What marks a broker of this folder, and the test run it belongs to. */
export function tags(directory: string, run: string | undefined): string[] {
  return [`${directoryTag}${directory}`, ...(run === undefined ? [] : [`${runTag}${run}`])]
}

/** Every broker of this package that runs on this machine, whoever started it. */
export function brokerProcesses(): BrokerProcess[] {
  return hasProc ? fromProc() : fromPs()
}

/** The process of the broker in that folder; undefined when none runs. */
export function processOf(directory: string): number | undefined {
  return brokerProcesses().find((broker) => broker.directory === directory)?.pid
}

export function isBroker(pid: number, directory: string): boolean {
  if (!hasProc) return processOf(directory) === pid
  return fromCommandLine(pid, commandLine(pid))?.directory === directory
}

/** Sends SIGKILL and waits until the process is gone. */
export async function killBroker({ pid, directory }: { pid: number; directory: string }): Promise<void> {
  signalBroker(pid, 'SIGKILL')
  if (await hasExited(pid, directory, 20_000)) return
  throw new KafkaDevError('FAILED', `broker process ${pid} of ${directory} does not die`, { facts: { pid, directory } })
}

export function signalBroker(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

export async function hasExited(pid: number, directory: string, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs
  while (isBroker(pid, directory)) {
    if (performance.now() > deadlineMs) return false
    await sleep(20)
  }
  return true
}

/** Tells this process from a later one with the same pid; undefined when no such process lives. */
export function processStamp(pid: number): string | undefined {
  try {
    if (!hasProc) return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    // "pid (name) state ..."; the name may hold spaces, so count from its closing parenthesis. Field 22: start time.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

const hasProc = existsSync('/proc/self/cmdline')

function fromProc(): BrokerProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => fromCommandLine(Number(name), commandLine(Number(name))) ?? [])
}

/** Where there is no /proc (macOS): arguments come joined by spaces, and ours hold none that matter before ` -`. */
function fromPs(): BrokerProcess[] {
  const lines = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,stat=,args='], {
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  })
  return lines.split('\n').flatMap((line) => {
    const [, pid, state, args] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    if (pid === undefined || args === undefined || state?.startsWith('Z')) return []
    return fromCommandLine(Number(pid), args.split(/ (?=-)/)) ?? []
  })
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return [] // It has gone meanwhile, or belongs to someone else.
  }
}

function fromCommandLine(pid: number, args: readonly string[]): BrokerProcess | undefined {
  const value = (tag: string) => args.find((argument) => argument.startsWith(tag))?.slice(tag.length)
  const directory = value(directoryTag)
  return directory === undefined ? undefined : { pid, directory, run: value(runTag) }
}
