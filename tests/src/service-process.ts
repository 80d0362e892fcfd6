import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ServiceName } from '@plateau/demo'

export interface Ended {
  readonly code: number | string
  readonly output: string
}

/** Runs one service until it ends by itself, at most `timeoutMs`. Its output is all it wrote, both streams. */
export function runToEnd(name: ServiceName, env: Record<string, string>, timeoutMs = 20_000): Promise<Ended> {
  const main = fileURLToPath(new URL(`../../services/${name}/dist/main.js`, import.meta.url))
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main], {
      env: { PATH: process.env['PATH'], ORT_DISABLE_TELEMETRY: '1', ...env },
    })
    let output = ''
    const take = (chunk: Buffer) => (output += chunk.toString('utf8'))
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: code ?? signal ?? 'unknown', output })
    })
  })
}
