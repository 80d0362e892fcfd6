/** The S3 server: VersityGW (Apache-2.0), one Go program over a plain folder, with signatures, checksums and conditions. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { S3DevError } from './errors.js'

export const gatewayModule = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'

/** Its path; undefined where it is not installed. `go install` puts it where a shell's PATH may not look. */
export function findGateway(): string | undefined {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    process.env['GOBIN'] ?? '',
    join(process.env['GOPATH'] ?? join(homedir(), 'go'), 'bin'),
  ]
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'versitygw'))
    .find(isExecutable)
}

/** Why no server can be had here. */
export function s3Unavailable(): string | undefined {
  return findGateway() === undefined ? `no versitygw: go install ${gatewayModule}` : undefined
}

/** Builds it with Go where it is missing: minutes, once. */
export async function installGateway(): Promise<string> {
  const found = findGateway()
  if (found !== undefined) return found
  await run('go', ['install', gatewayModule])
  const built = findGateway()
  if (built === undefined) throw new S3DevError('UNAVAILABLE', `go install ${gatewayModule} left no versitygw`)
  return built
}

/** Resolves when the program ended well; its output is shown, or part of the error with `quiet`. */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly quiet?: boolean; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const output = options.quiet === true ? 'pipe' : 'inherit'
    const child = spawn(program, args, { stdio: ['ignore', output, output], env: options.env ?? process.env })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (said += String(text)))
    child.on('error', (cause) => reject(new S3DevError('UNAVAILABLE', `${program} cannot be started`, { cause })))
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new S3DevError('FAILED', `${program} ended with ${code}: ${said.trim()}`)),
    )
  })
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
