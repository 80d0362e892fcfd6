import { spawn } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { get as httpGet } from 'node:http'
import { get as httpsGet } from 'node:https'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { S3DevError } from './errors.js'
import { freePort } from './ports.js'
import { findGateway, gatewayModule, run } from './program.js'
import { readSettings, settingsOf, writeSettings, type S3Settings } from './settings.js'

export interface S3Options {
  /** Default: a new one, which `destroy` deletes. */
  readonly directory?: string
  /** Default: a free one. */
  readonly port?: number
  /** With a certificate for 127.0.0.1 and localhost that signs itself. */
  readonly tls?: boolean
  /** Goes on when this process ends. */
  readonly leaveRunning?: boolean
}

const START_MS = 20_000
const STOP_MS = 10_000

/** Starts a server with one bucket and waits until it answers. A folder that has one already is carried on with. */
export async function startS3(options: S3Options = {}): Promise<S3Server> {
  const directory = resolve(options.directory ?? mkdtempSync(join(realpathSync(tmpdir()), 'plateau-s3-')))
  mkdirSync(directory, { recursive: true })
  if (readSettings(directory) === undefined) {
    if (readdirSync(directory).length > 0) {
      throw new S3DevError('WRONG_FOLDER', `${directory} is not empty and holds no S3 server`)
    }
    for (const folder of ['data', 'users']) mkdirSync(join(directory, folder))
    if (options.tls === true) await makeCertificate(directory)
    writeSettings(directory, {
      port: options.port ?? (await freePort()),
      bucket: 'checkpoints',
      region: 'us-east-1',
      accessKeyId: 'plateau-dev',
      secretAccessKey: 'not-a-secret-of-anything',
      tls: options.tls === true,
    })
  }
  const server = new S3Server(directory)
  await server.start(options)
  return server
}

/** One that was started before, whether it runs or not. */
export function openS3(directory: string): S3Server {
  return new S3Server(resolve(directory))
}

/** An S3 server on loopback. Its data is `dataDirectory`: a folder per bucket, a file per object. */
export class S3Server {
  readonly directory: string
  readonly settings: S3Settings

  constructor(directory: string) {
    this.directory = directory
    this.settings = settingsOf(directory)
  }

  get endpoint(): string {
    return `${this.settings.tls ? 'https' : 'http'}://127.0.0.1:${this.settings.port}`
  }

  get bucketDirectory(): string {
    return join(this.directory, 'data', this.settings.bucket)
  }

  /** Of the authority that signed its certificate. */
  get caFile(): string | undefined {
    return this.settings.tls ? join(this.directory, 'tls.crt') : undefined
  }

  /** For PLATEAU_S3_ACCESS_KEY_ID_FILE and PLATEAU_S3_SECRET_ACCESS_KEY_FILE. */
  get credentialFiles(): { readonly accessKeyIdFile: string; readonly secretAccessKeyFile: string } {
    const accessKeyIdFile = join(this.directory, 'access-key-id')
    const secretAccessKeyFile = join(this.directory, 'secret-access-key')
    return { accessKeyIdFile, secretAccessKeyFile }
  }

  /** Undefined when it does not run. */
  get pid(): number | undefined {
    try {
      const pid = Number(readFileSync(join(this.directory, 'pid'), 'utf8'))
      return isOurs(pid, this.directory) ? pid : undefined
    } catch {
      return undefined
    }
  }

  async start({ leaveRunning = false }: Pick<S3Options, 'leaveRunning'> = {}): Promise<void> {
    if (this.pid !== undefined) return
    const program = findGateway()
    if (program === undefined) throw new S3DevError('UNAVAILABLE', `no versitygw: go install ${gatewayModule}`)
    const { port, region, accessKeyId, secretAccessKey, tls } = this.settings
    const { accessKeyIdFile, secretAccessKeyFile } = this.credentialFiles
    writeFileSync(accessKeyIdFile, accessKeyId, { mode: 0o600 })
    writeFileSync(secretAccessKeyFile, secretAccessKey, { mode: 0o600 })
    const certificate = tls ? ['--cert', join(this.directory, 'tls.crt'), '--key', join(this.directory, 'tls.key')] : []
    const users = ['--iam-dir', join(this.directory, 'users'), '--iam-cache-disable']
    const listen = ['--port', `127.0.0.1:${port}`, '--region', region, '--health', '/health', '--keep-alive', '--quiet']
    const log = openSync(join(this.directory, 'log'), 'a')
    const child = spawn(program, [...listen, ...users, ...certificate, 'posix', join(this.directory, 'data')], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    })
    closeSync(log)
    child.unref()
    let hasEnded = false
    child.once('error', () => (hasEnded = true))
    child.once('exit', () => (hasEnded = true))
    writeFileSync(join(this.directory, 'pid'), String(child.pid ?? 0))
    if (!leaveRunning && child.pid !== undefined) killWhenThisProcessEnds(child.pid)
    await this.#untilItAnswers(() => hasEnded)
    await this.#admin(['create-bucket', '--owner', accessKeyId, '--bucket', this.settings.bucket]).catch(
      (error: unknown) => {
        if (!(error instanceof Error && /BucketAlready/.test(error.message))) throw error
      },
    )
  }

  isServing(): Promise<boolean> {
    return new Promise((answer) => {
      const get = this.settings.tls ? httpsGet : httpGet
      // Only whether it answers: its certificate is looked at by clients.
      const request = get(`${this.endpoint}/health`, { rejectUnauthorized: false, timeout: 1000 }, (response) => {
        response.resume()
        answer(response.statusCode === 200)
      })
      request.on('timeout', () => request.destroy())
      request.on('error', () => answer(false))
    })
  }

  /** A crash, on purpose. */
  kill9(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** Orderly. The data stays. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  /** The process hangs: connections are taken, nothing is answered. */
  freeze(): void {
    if (this.pid !== undefined) process.kill(this.pid, 'SIGSTOP')
  }

  thaw(): void {
    if (this.pid !== undefined) process.kill(this.pid, 'SIGCONT')
  }

  /** Ends it and deletes its folder. */
  async destroy(): Promise<void> {
    await this.kill9()
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** One who may do what bucket policies say, and nothing else. */
  async addUser(accessKeyId: string, secretAccessKey: string): Promise<void> {
    await this.#admin(['create-user', '--access', accessKeyId, '--secret', secretAccessKey, '--role', 'user'])
  }

  async #untilItAnswers(hasEnded: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + START_MS
    while (!(await this.isServing())) {
      if (hasEnded() || performance.now() > deadlineMs) {
        const said = readFileSync(join(this.directory, 'log'), 'utf8').split('\n').slice(-5).join('\n')
        throw new S3DevError('FAILED', `the S3 server in ${this.directory} does not come up: ${said}`)
      }
      await sleep(20)
    }
  }

  async #admin(args: readonly string[]): Promise<void> {
    const { accessKeyId, secretAccessKey, region } = this.settings
    const login = ['--access', accessKeyId, '--secret', secretAccessKey, '--region', region, '--allow-insecure']
    await run(findGateway()!, ['admin', ...login, '--endpoint-url', this.endpoint, ...args], { quiet: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const { pid } = this
    if (pid === undefined) return
    process.kill(pid, signal)
    const deadlineMs = performance.now() + STOP_MS
    while (this.pid === pid) {
      if (performance.now() > deadlineMs) throw new S3DevError('FAILED', `process ${pid} does not end by ${signal}`)
      await sleep(10)
    }
  }
}

/** A pid alone proves nothing: they are used again. Ours has its folder on its command line. */
function isOurs(pid: number, directory: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(join(directory, 'data'))
  } catch {
    return false
  }
}

/** Whatever ends this process, SIGKILL included: the kernel closes the pipe, and the shell kills the server. */
function killWhenThisProcessEnds(pid: number): void {
  const watcher = spawn('sh', ['-c', 'cat >/dev/null; kill -9 "$WATCHED" 2>/dev/null'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, WATCHED: String(pid) },
  })
  watcher.unref()
  ;(watcher.stdin as Socket).unref()
  watcher.on('error', () => {})
}

async function makeCertificate(directory: string): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(directory, 'tls.key')]
  const names = ['-subj', '/CN=s3-dev', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const file = ['-days', '3650', '-out', join(directory, 'tls.crt')]
  await run('openssl', ['req', '-x509', ...key, ...names, ...file], { quiet: true })
}
