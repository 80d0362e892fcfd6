import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export interface LogProcess {
  readonly child: ChildProcess
  /** What it has said so far. */
  readonly lines: readonly string[]
  kill(): Promise<void>
  freeze(): void
  thaw(): void
}

/** Runs log-process.ts from its source, so that the tests need no build. */
export function startLogProcess(...args: readonly (string | number)[]): LogProcess {
  const options = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning']
  options.push('--conditions=@plateau/source', '--import', path('./resolve-sources.ts'))
  const child = spawn(process.execPath, [...options, path('./log-process.ts'), ...args.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const output = createInterface({ input: child.stdout })
  output.on('line', (line) => lines.push(line))
  const ended = Promise.all([
    new Promise((resolve) => child.once('exit', resolve)),
    new Promise((resolve) => output.once('close', resolve)),
  ])
  return {
    child,
    lines,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  }
}

/** Polls; gives up long before a session of a minute would time out. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`still not so after 20 s: ${what}`)
    await sleep(10)
  }
}
