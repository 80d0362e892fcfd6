import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)

const REQUIREMENTS = ['pandas==3.1.1', 'pyarrow==26.0.1', 'duckdb==2.0.1', 'numpy==2.4.6']
const CACHE = fileURLToPath(new URL('../../../../.plateau/python-readers', import.meta.url))

/** Undefined when this machine has no Python 3 that can make virtual environments. */
export async function findPython(): Promise<string | undefined> {
  try {
    await execute('python3', ['-c', 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)'])
    return 'python3'
  } catch {
    return undefined
  }
}

/** A Python with pandas, pyarrow and DuckDB; made once, in a cache folder of the repository. */
export async function pythonWithReaders(python: string): Promise<string> {
  const done = join(CACHE, REQUIREMENTS.join('_'))
  const interpreter = join(done, 'bin', 'python')
  if (existsSync(interpreter)) return interpreter
  // Made aside and moved into place: an interrupted set-up is not taken for a whole one.
  const making = `${done}.${process.pid}`
  rmSync(making, { recursive: true, force: true })
  mkdirSync(CACHE, { recursive: true })
  await execute(python, ['-m', 'venv', making])
  await execute(join(making, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', ...REQUIREMENTS])
  if (existsSync(done)) rmSync(making, { recursive: true, force: true })
  else renameSync(making, done)
  return interpreter
}

export async function runPython(interpreter: string, script: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(interpreter, [fileURLToPath(new URL(script, import.meta.url)), ...args])
  return stdout
}
