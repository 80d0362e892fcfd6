/** `npm run kafka -- COMMAND`: a broker, or three, that stay up until they are told otherwise. */
import { parseArgs } from 'node:util'
import type { KafkaBroker } from './broker.js'
import { openCluster, startCluster, type KafkaCluster } from './cluster.js'
import { KafkaDevError } from './errors.js'
import { resolveKafka } from './jars.js'
import { openBroker, startBroker } from './start-broker.js'

export const helpText = `npm run kafka -- COMMAND [options]

  start     start a broker and wait until it serves; on a folder that has one, carry on with its data
  stop      orderly shutdown; the data stays
  kill9     SIGKILL: a crash, on purpose
  status    exit 0 when it serves, 4 when it runs but does not answer, 3 when it does not run
  destroy   end it and delete its folder
  resolve   only fetch Kafka's jars, and print their folder
  cluster start | stop | kill9 --node N | status | destroy      the same for three brokers

  --dir D   the folder (default .plateau/kafka, for a cluster .plateau/kafka-cluster)
  --port N  the clients' port (default 9092; a cluster takes free ones and prints them)
  --sasl    TLS with SCRAM, PLAIN, client certificates and OAUTHBEARER, and ACLs
  --heap N  megabytes for Java (default 512, each of a cluster 384)

Needs Java 17 or newer; Maven once, to fetch Kafka; openssl for --sasl. Everything listens on 127.0.0.1 only.
Jars are kept in ~/.cache/plateau-kafka, or in the folder that KAFKA_DEV_CACHE names.
`

const flags = {
  dir: { type: 'string' },
  port: { type: 'string' },
  sasl: { type: 'boolean' },
  heap: { type: 'string' },
  node: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

interface Flags {
  readonly dir?: string
  readonly port?: string
  readonly sasl?: boolean
  readonly heap?: string
  readonly node?: string
  readonly help?: boolean
}

interface Output {
  write(text: string): unknown
}

/** The exit status. Errors are thrown: a mistake in the arguments as BAD_OPTION. */
export async function runCli(args: readonly string[], out: Output): Promise<number> {
  const { words, values } = parse(args)
  const [command, ...rest] = words
  if (values.help === true || command === undefined || command === 'help') {
    out.write(helpText)
    return 0
  }
  const unexpected = command === 'cluster' ? rest[1] : rest[0]
  if (unexpected !== undefined) throw badOption(`unexpected argument: ${unexpected}`)
  return command === 'cluster' ? clusterCommand(rest[0], values, out) : brokerCommand(command, values, out)
}

async function brokerCommand(command: string, values: Flags, out: Output): Promise<number> {
  const directory = values.dir ?? '.plateau/kafka'
  switch (command) {
    case 'start':
      return printStatus([await start(directory, values)], out)
    case 'stop':
      await openBroker(directory).stop()
      return 0
    case 'kill9':
      await openBroker(directory).kill9()
      return 0
    case 'status':
      return status(() => [openBroker(directory)], out)
    case 'destroy':
      await openBroker(directory).destroy()
      return 0
    case 'resolve':
      out.write(`${await resolveKafka()}\n`)
      return 0
    default:
      throw badOption(`unknown command: ${command}`)
  }
}

function start(directory: string, values: Flags): Promise<KafkaBroker> {
  return startBroker({
    directory,
    leaveRunning: true,
    ...(values.sasl === true ? { security: 'sasl_ssl' } : {}),
    ...heapOf(values),
    ...portOf(directory, values),
  })
}

/** 9092 for a new broker, so that its address need not be looked up; an old one keeps its own. */
function portOf(directory: string, values: Flags): { port?: number } {
  if (values.port !== undefined) return { port: wholeNumber('--port', values.port) }
  try {
    return { port: openBroker(directory).port }
  } catch (error) {
    if (error instanceof KafkaDevError && error.code === 'WRONG_FOLDER') return { port: 9092 }
    throw error
  }
}

async function clusterCommand(command: string | undefined, values: Flags, out: Output): Promise<number> {
  const directory = values.dir ?? '.plateau/kafka-cluster'
  if (values.port !== undefined || values.sasl === true) throw badOption('a cluster takes neither --port nor --sasl')
  switch (command ?? '') {
    case 'start':
      return printStatus((await startCluster({ directory, leaveRunning: true, ...heapOf(values) })).brokers, out)
    case 'stop':
      await openCluster(directory).stop()
      return 0
    case 'kill9':
      await brokerOf(openCluster(directory), values.node).kill9()
      return 0
    case 'status':
      return status(() => openCluster(directory).brokers, out)
    case 'destroy':
      await openCluster(directory).destroy()
      return 0
    default:
      throw badOption(`unknown cluster command: ${command ?? '(none)'}`)
  }
}

function brokerOf(cluster: KafkaCluster, node: string | undefined): KafkaBroker {
  const broker = cluster.brokers.find(({ nodeId }) => String(nodeId) === node)
  if (broker === undefined) throw badOption('--node: which broker, 1, 2 or 3?')
  return broker
}

/** Where nothing was ever started, nothing runs: that is an answer, not a mistake. */
async function status(open: () => readonly KafkaBroker[], out: Output): Promise<number> {
  try {
    return await printStatus(open(), out)
  } catch (error) {
    if (!(error instanceof KafkaDevError && error.code === 'WRONG_FOLDER')) throw error
    out.write(`stopped: ${error.message}\n`)
    return 3
  }
}

/** Exits as for the one that is worst off. */
async function printStatus(brokers: readonly KafkaBroker[], out: Output): Promise<number> {
  const serving = await Promise.all(brokers.map((broker) => broker.isServing()))
  for (const [i, { bootstrap, directory, pid, security }] of brokers.entries()) {
    const state = pid === undefined ? 'stopped' : serving[i] ? 'serving' : 'not answering'
    out.write(`${state} bootstrap=${bootstrap} pid=${pid ?? '-'} security=${security.kind} dir=${directory}\n`)
    if (security.kind === 'sasl_ssl') out.write(securityLines(security))
  }
  if (brokers.some((broker) => broker.pid === undefined)) return 3
  return serving.every(Boolean) ? 0 : 4
}

function securityLines(security: Extract<KafkaBroker['security'], { kind: 'sasl_ssl' }>): string {
  const { mtls, oauth, users, caFile } = security
  return `  ca=${caFile}
  users (the first may do everything): ${users.map(({ name, password }) => `${name}/${password}`).join(' ')}
  certificates: bootstrap=${mtls.bootstrap} cert=${mtls.certFile} key=${mtls.keyFile} (user ${mtls.user})
  OAUTHBEARER, unsigned tokens: bootstrap=${oauth.bootstrap}
`
}

function heapOf({ heap }: Flags): { heapMb?: number } {
  return heap === undefined ? {} : { heapMb: wholeNumber('--heap', heap) }
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d+$/.test(text)) throw badOption(`${option}: not a whole number: ${text}`)
  return Number(text)
}

function parse(args: readonly string[]): { words: string[]; values: Flags } {
  try {
    const { positionals, values } = parseArgs({ args: [...args], options: flags, allowPositionals: true })
    return { words: positionals, values }
  } catch (error) {
    throw badOption(error instanceof Error ? error.message : String(error))
  }
}

const badOption = (sentence: string) => new KafkaDevError('BAD_OPTION', `${sentence} (see: npm run kafka -- help)`)
