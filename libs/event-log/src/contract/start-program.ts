import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Program {
  /** What it has said so far, line by line. */
  readonly lines: readonly string[]
  /** Writes a line to its stdin. */
  tell(line: string): void
  kill(): Promise<void>
  freeze(): void
  thaw(): void
}

/** Runs a test program (a .ts file) in a process of its own, from its source: tests that kill and freeze need no build. */
export function startProgram(program: URL, args: readonly (string | number)[]): Program {
  const options = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning']
  const hooks = fileURLToPath(new URL('./resolve-sources.ts', import.meta.url))
  options.push('--conditions=@plateau/source', '--import', hooks)
  const child = spawn(process.execPath, [...options, fileURLToPath(program), ...args.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  // Told something after its end, the pipe is broken: its lines say so better.
  child.stdin.on('error', () => {})
  const lines: string[] = []
  const output = createInterface({ input: child.stdout })
  output.on('line', (line) => lines.push(line))
  const ended = Promise.all([
    new Promise((resolve) => child.once('exit', resolve)),
    new Promise((resolve) => output.once('close', resolve)),
  ])
  return {
    lines,
    tell: (line) => void child.stdin.write(`${line}\n`),
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  }
}
