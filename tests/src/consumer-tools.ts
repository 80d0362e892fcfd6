/** What the programs of other teams need, made ready once and kept under .plateau/ until their inputs change. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Finished {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, or for `timeoutMs` at most (status null). Never throws for what the program does. */
export function run(
  file: string,
  args: readonly string[],
  { cwd = root, env = {}, timeoutMs = 120_000 }: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 }
    execFile(file, [...args], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : null
      resolve({ status, stdout, stderr: error && status === null ? `${stderr}${error.message}` : stderr })
    })
  })
}

/** As `run`, for steps that must work. */
export async function mustRun(...call: Parameters<typeof run>): Promise<string> {
  const { status, stdout, stderr } = await run(...call)
  if (status !== 0) throw new Error(`${call[0]} ${call[1].join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}

/** A suite that needs programs of this machine: skipped with one loud line where one is missing, and failed in CI. */
export function describeWithPrograms(programs: readonly string[], name: string, body: () => void): void {
  const absent = programs.filter((program) => spawnSync(program, ['--help'], { stdio: 'ignore' }).error !== undefined)
  const runs = absent.length === 0
  const inCi = Boolean(process.env['CI'])
  if (!runs && !inCi) process.stderr.write(`\n!!! SKIPPED without ${absent.join(', ')}: "${name}"\n`)
  const suite = runs || inCi ? describe : describe.skip
  suite(name, runs || !inCi ? body : () => refuse(absent))
}

function refuse(absent: readonly string[]): void {
  test('has its programs', () => expect.fail(`CI must run these tests, but this machine has no ${absent.join(', ')}`))
}

/** A virtual environment with the Python example's requirements and its generated classes; the path of its `python`. */
export async function pythonForExample(): Promise<string> {
  const example = join(root, 'examples/python')
  const wanted = createHash('sha256')
    .update(readFileSync(join(example, 'requirements.txt')))
    .digest('hex')
  const venv = join(root, '.plateau/examples', `python-${wanted.slice(0, 16)}`)
  const complete = join(venv, 'complete')
  const python = join(venv, 'bin/python')
  if (!existsSync(complete)) {
    rmSync(venv, { recursive: true, force: true })
    mkdirSync(venv, { recursive: true })
    await mustRun('python3', ['-m', 'venv', venv])
    const requirements = join(example, 'requirements.txt')
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]
    await mustRun(python, pip, { timeoutMs: 300_000 })
    writeFileSync(complete, '')
  }
  await mustRun(python, ['generate.py'], { cwd: example })
  return python
}

/** Builds the Java example; the path of its jar. */
export async function jarOfExample(): Promise<string> {
  const example = join(root, 'examples/java')
  await mustRun('mvn', ['-q', '-B', 'package'], { cwd: example, timeoutMs: 400_000 })
  return join(example, 'target/acceptance-by-version.jar')
}

/** An executable of that name in `folder` which passes its arguments on, for the documents' commands. */
export function shim(folder: string, name: string, command: readonly string[]): void {
  const file = join(folder, name)
  const words = command.map((word) => `'${word}'`).join(' ')
  writeFileSync(file, `#!/bin/sh\nexec ${words} "$@"\n`)
  chmodSync(file, 0o755)
}

/** The shell commands of a page that mention `program`, as they stand there. */
export function commandsOf(page: string, program: string): string[] {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(
    ([, text]) => text!,
  )
  return blocks.filter((text) => text.includes(program))
}
