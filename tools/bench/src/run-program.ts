import { spawn } from 'node:child_process'

export interface ProgramResult {
  /** Undefined: the program could not be started, or a signal ended it. */
  readonly code: number | undefined
  /** Both streams' last 4,000 characters. */
  readonly tail: string
}

/** Runs to the end. Each line of its output goes to `onLine`, too. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly onLine?: (line: string) => void } = {},
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let tail = ''
    let rest = ''
    const take = (chunk: Buffer): void => {
      tail = (tail + chunk.toString()).slice(-4000)
      const lines = (rest + chunk.toString()).split(/[\r\n]+/)
      rest = lines.pop()!
      for (const line of lines) if (line !== '') options.onLine?.(line)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.once('error', (error) => resolve({ code: undefined, tail: error.message }))
    child.once('close', (code) => resolve({ code: code ?? undefined, tail }))
  })
}

/** The last line that says something. */
export function lastLine({ tail }: ProgramResult): string {
  return tail.trim().split('\n').at(-1)?.trim() ?? ''
}
