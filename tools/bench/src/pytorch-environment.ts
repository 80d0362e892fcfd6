import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BenchError, progress } from './bench-error.js'
import { cacheFolder } from './cache-folder.js'
import { lastLine, runProgram } from './run-program.js'

export const torchVersion = '2.15.0'

/**
 * A Python interpreter with PyTorch: a virtual environment of the benchmark's own, made once. pip's own settings choose
 * where packages come from (an index of CPU builds saves several gigabytes).
 *
 * Throws BenchError when there is no Python, or pip cannot get PyTorch.
 */
export async function preparePyTorch(): Promise<string> {
  const folder = cacheFolder(`pytorch-${torchVersion}`)
  const python = join(folder, 'bin', 'python')
  const done = join(folder, '.complete')
  if (existsSync(done)) return python
  // A torn installation is begun anew: pip keeps what it downloaded.
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  progress(`preparing PyTorch ${torchVersion} in ${folder} (once)`)
  const made = await runProgram('python3', ['-m', 'venv', folder])
  if (made.code !== 0) {
    throw new BenchError(`--vs-pytorch needs python3 with its venv module: ${lastLine(made)}`)
  }
  const requirement = `torch==${torchVersion}`
  const installed = await runProgram(python, ['-m', 'pip', 'install', '--disable-pip-version-check', requirement], {
    onLine: (line) => progress(`  pip: ${line.trim().slice(0, 120)}`),
  })
  if (installed.code !== 0) {
    throw new BenchError(
      `pip could not install ${requirement}: ${lastLine(installed)}. Give an interpreter that has it with --python PATH`,
    )
  }
  writeFileSync(done, '')
  return python
}
