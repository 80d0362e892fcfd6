import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface Wheel {
  readonly url: string
  /** Hex, where the index tells it. */
  readonly sha256: string | undefined
}

export type FindWheel = (project: string, version: string, signal?: AbortSignal) => Promise<Wheel>

const run = promisify(execFile)
const timeoutMs = 60_000

/** Asks pip, which knows this machine's package index, mirrors and certificates. Nothing is installed. */
export const findWheel: FindWheel = async (project, version, signal) => {
  const ask = ['-m', 'pip', 'install', '--dry-run', '--ignore-installed', '--no-deps', '--only-binary', ':all:']
  const how = ['--quiet', '--no-input', '--disable-pip-version-check', '--report', '-', `${project}==${version}`]
  const options = { timeout: timeoutMs, maxBuffer: 2 ** 24, ...(signal === undefined ? {} : { signal }) }
  try {
    const { stdout } = await run('python3', [...ask, ...how], options)
    return parseReport(stdout)
  } catch (cause) {
    throw new Error(`pip does not find ${project} ${version} (${reasonOf(cause)})`, { cause })
  }
}

/** pip's installation report, https://pip.pypa.io/en/stable/reference/installation-report/ */
export function parseReport(report: string): Wheel {
  const { install } = JSON.parse(report) as {
    install?: { download_info?: { url?: unknown; archive_info?: { hashes?: { sha256?: unknown } } } }[]
  }
  const { url, archive_info: archive } = install?.[0]?.download_info ?? {}
  if (typeof url !== 'string') throw new Error('its report names no address')
  const sha256 = archive?.hashes?.sha256
  return { url, sha256: typeof sha256 === 'string' ? sha256 : undefined }
}

function reasonOf(cause: unknown): string {
  const { code, killed, stderr, message } = cause as NodeJS.ErrnoException & { killed?: boolean; stderr?: string }
  if (code === 'ENOENT') return 'there is no python3'
  if (killed) return `no answer within ${timeoutMs / 1000} s`
  const last = stderr?.trim().split('\n').at(-1)
  return (last || message).slice(0, 200)
}
