import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ServiceName } from '@plateau/demo'

export interface Ended {
  readonly code: number | string
  readonly output: string
}

/** Runs one service until it ends by itself, at most `timeoutMs`. Its output is all it wrote, both streams. */
export async function runToEnd(name: ServiceName, env: Record<string, string>, timeoutMs = 20_000): Promise<Ended> {
  const started = startService(name, env)
  const timer = setTimeout(() => started.signal('SIGKILL'), timeoutMs)
  const code = await started.ended
  clearTimeout(timer)
  return { code, output: started.output() }
}

export interface StartedProcess {
  /** All it wrote so far, both streams. */
  output(): string
  /** The fields of its log lines with this message. */
  logged(message: string): readonly Record<string, unknown>[]
  signal(signal: NodeJS.Signals): void
  readonly ended: Promise<number | string>
}

/** Whoever starts it sees to its end. */
export function startService(name: ServiceName, env: Record<string, string>): StartedProcess {
  const main = fileURLToPath(new URL(`../../services/${name}/dist/main.js`, import.meta.url))
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'], ORT_DISABLE_TELEMETRY: '1', ...env },
  })
  let output = ''
  const take = (chunk: Buffer) => (output += chunk.toString('utf8'))
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return {
    output: () => output,
    logged: (message) =>
      output
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((line) => line['message'] === message),
    signal: (signal) => void child.kill(signal),
    ended: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    }),
  }
}
