import { spawn, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export const services = ['target-model', 'flatness-scorer', 'trainer', 'serving', 'console'] as const

/** What a container gets: nothing of the caller's environment but the way to Node.js. */
const environment = { PATH: process.env['PATH'], ORT_DISABLE_TELEMETRY: '1' }

export function runToEnd(command: string, args: readonly string[], env: Record<string, string> = {}) {
  const ended = spawnSync(command, args, { encoding: 'utf8', env: { ...environment, ...env }, timeout: 60_000 })
  return { status: ended.status, stdout: ended.stdout, stderr: `${ended.stderr}${ended.error ?? ''}` }
}

/** A process whose end a test waits for, with its code, or the signal that ended it. */
export function start(command: string, args: readonly string[], env: Record<string, string>) {
  const child = spawn(command, args, { env: { ...environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  return {
    output: () => output,
    signal: (name: NodeJS.Signals) => void child.kill(name),
    ended: new Promise<number | string>((resolve) => {
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    }),
  }
}

/** Every file below a folder. Links are not followed: pnpm's lead round in circles. */
export function filesIn(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    return entry.isDirectory() ? filesIn(path) : entry.isFile() ? [path] : []
  })
}
