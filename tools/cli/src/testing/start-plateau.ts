import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export interface PlateauProcess {
  readonly child: ChildProcess
  /** What it has said on stderr so far. */
  said(): string
  /** Resolves with its exit code, null after a signal. */
  readonly ended: Promise<number | null>
}

/** Runs `plateau ARGS` as a process of its own, from its source, so that the tests need no build. */
export function startPlateau(...args: readonly string[]): PlateauProcess {
  const options = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning']
  options.push('--conditions=@plateau/source', '--import', path('./resolve-sources.ts'))
  const child = spawn(process.execPath, [...options, path('../main.ts'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, said: () => said, ended }
}
