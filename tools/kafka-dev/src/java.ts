/** Finding Java, and running a Java program to its end. */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { KafkaDevError } from './errors.js'

export const oldestJava = 17

/** JAVA_HOME's, else the first `java` on the path. */
export function javaCommand(): string | undefined {
  const home = process.env['JAVA_HOME']
  const ofHome = home === undefined || home === '' ? undefined : join(home, 'bin', 'java')
  return ofHome !== undefined && isExecutable(ofHome) ? ofHome : onPath('java')
}

export function javaOrRefuse(): string {
  const command = javaCommand()
  if (command === undefined) throw new KafkaDevError('UNAVAILABLE', 'no java on the path')
  return command
}

/** The first executable of that name on the path. */
export function onPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

const versionTexts = new Map<string, string>()

/** What `java -version` says. */
export function javaVersionText(command: string): string {
  const known = versionTexts.get(command)
  if (known !== undefined) return known
  const text = spawnSync(command, ['-version'], { encoding: 'utf8', timeout: 30_000 }).stderr ?? ''
  versionTexts.set(command, text)
  return text
}

/** `openjdk version "17.0.15"` and the old `java version "1.8.0_392"`; 0 when the text does not tell. */
export function parseJavaMajor(versionText: string): number {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(versionText) ?? []
  return Number((first === '1' ? second : first) ?? 0)
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a program without a shell; its standard output, or an error that ends with the last lines it wrote. */
export function runProgram(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal,
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    })
    const output = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(output.stdout)
      const said = lastLines(`${output.stdout}\n${output.stderr}`, 15)
      const ended = signal === null ? `exited with ${code}` : `was ended by ${signal}`
      reject(new KafkaDevError('FAILED', `${command} ${ended}:\n${said}`, { facts: { code: code ?? undefined } }))
    })
  })
}

export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n')
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
