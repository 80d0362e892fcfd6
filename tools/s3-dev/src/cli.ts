/** `npm run s3 -- COMMAND`: an S3 server that stays up until it is told otherwise. */
import { parseArgs } from 'node:util'
import { S3DevError } from './errors.js'
import { installGateway } from './program.js'
import { openS3, startS3, type S3Server } from './server.js'
import { readSettings } from './settings.js'

export const helpText = `npm run s3 -- COMMAND [options]

  start     start an S3 server with a bucket and wait until it serves; print the settings for Plateau
  stop      orderly shutdown; the data stays
  kill9     SIGKILL: a crash, on purpose
  status    exit 0 when it serves, 4 when it runs but does not answer, 3 when it does not run
  destroy   end it and delete its folder
  resolve   only fetch the server's program, and print its path

  --dir D   the folder (default .plateau/s3)
  --port N  (default 7075)
  --tls     with a certificate that signs itself

The server is VersityGW: where it is missing, Go builds it once, which takes minutes. It listens on 127.0.0.1 only.
`

const flags = {
  dir: { type: 'string' },
  port: { type: 'string' },
  tls: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

interface Output {
  write(text: string): unknown
}

/** The exit status. Errors are thrown: a mistake in the arguments as BAD_OPTION. */
export async function runCli(args: readonly string[], out: Output): Promise<number> {
  const { words, values } = parse(args)
  const [command, unexpected] = words
  if (values.help === true || command === undefined || command === 'help') {
    out.write(helpText)
    return 0
  }
  if (unexpected !== undefined) throw badOption(`unexpected argument: ${unexpected}`)
  const directory = values.dir ?? '.plateau/s3'
  switch (command) {
    case 'start':
      await installGateway()
      return printStatus(
        await startS3({ directory, leaveRunning: true, tls: values.tls === true, port: portOf(values) }),
        out,
      )
    case 'stop':
      await openS3(directory).stop()
      return 0
    case 'kill9':
      await openS3(directory).kill9()
      return 0
    case 'status':
      if (readSettings(directory) !== undefined) return printStatus(openS3(directory), out)
      out.write(`stopped: ${directory} holds no S3 server\n`)
      return 3
    case 'destroy':
      await openS3(directory).destroy()
      return 0
    case 'resolve':
      out.write(`${await installGateway()}\n`)
      return 0
    default:
      throw badOption(`unknown command: ${command}`)
  }
}

async function printStatus(server: S3Server, out: Output): Promise<number> {
  const { pid, endpoint, directory, settings, credentialFiles, caFile } = server
  const isServing = pid !== undefined && (await server.isServing())
  const state = pid === undefined ? 'stopped' : isServing ? 'serving' : 'not answering'
  out.write(`${state} endpoint=${endpoint} pid=${pid ?? '-'} dir=${directory}
  PLATEAU_CHECKPOINTS=s3://${settings.bucket}/drafts
  PLATEAU_S3_ENDPOINT=${endpoint}
  PLATEAU_S3_REGION=${settings.region}
  PLATEAU_S3_ACCESS_KEY_ID_FILE=${credentialFiles.accessKeyIdFile}
  PLATEAU_S3_SECRET_ACCESS_KEY_FILE=${credentialFiles.secretAccessKeyFile}
${caFile === undefined ? '' : `  PLATEAU_S3_CA_FILE=${caFile}\n`}`)
  if (pid === undefined) return 3
  return isServing ? 0 : 4
}

function portOf({ port = '7075' }: { readonly port?: string }): number {
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) throw badOption(`--port: no port: ${port}`)
  return Number(port)
}

function parse(args: readonly string[]) {
  try {
    const { positionals: words, values } = parseArgs({ args: [...args], options: flags, allowPositionals: true })
    return { words, values }
  } catch (error) {
    throw badOption(error instanceof Error ? error.message : String(error))
  }
}

const badOption = (sentence: string) => new S3DevError('BAD_OPTION', `${sentence} (see: npm run s3 -- help)`)
