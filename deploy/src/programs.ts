import { spawnSync } from 'node:child_process'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** With what Go installed, whether or not the shell's PATH has it. */
export const programPath = [process.env['PATH'] ?? '', process.env['GOBIN'] ?? join(homedir(), 'go', 'bin')].join(
  delimiter,
)

/**
 * Whether a program that these tests check with can be started. CI has all of them, so there a missing one is an error
 * (ENOENT, by the test that starts it), not a reason to skip.
 */
export function hasProgram(name: string): boolean {
  if (process.env['CI'] !== undefined) return true
  return spawnSync('sh', ['-c', `command -v ${name}`], { env: { ...process.env, PATH: programPath } }).status === 0
}
