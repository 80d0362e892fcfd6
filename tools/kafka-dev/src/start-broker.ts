import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkedUsers, defaultUsers } from './broker-security.js'
import { KafkaBroker } from './broker.js'
import { makeClassArchive } from './class-archive.js'
import { KafkaDevError } from './errors.js'
import { resolveKafka } from './jars.js'
import { withLock } from './lock.js'
import { isFormatted, lockFile, type LaunchOptions } from './node-process.js'
import { freePorts, isFree } from './ports.js'
import { readSettings, settingsFile, type KafkaUser, type NodeSettings, type Security } from './settings.js'
import {
  launchOptions,
  makeFolder,
  newId,
  refuseForeignFolder,
  startNodes,
  type Node,
  type StartOptions,
} from './start-nodes.js'

export interface BrokerOptions extends StartOptions {
  /** Keeps its data, its ports and its kind: a later start carries on. Default: a new temporary folder. */
  readonly directory?: string
  /** The clients' port. Default: a free one. */
  readonly port?: number
  readonly security?: Security
  /** For `sasl_ssl`: the first is the super user, the second the one that the client certificate stands for. */
  readonly users?: readonly KafkaUser[]
}

/** Starts a broker and waits until it serves; one that runs already in that folder is joined. */
export async function startBroker(options: BrokerOptions = {}): Promise<KafkaBroker> {
  await rehearseOnce(options)
  return start(options, launchOptions(options))
}

/** On a machine's first start: Kafka's jars, and a broker started and stopped to learn which classes it reads. */
export async function rehearseOnce(options: StartOptions): Promise<void> {
  const libs = await resolveKafka(options)
  await makeClassArchive(libs, async (jvmOption) => {
    const broker = await start({}, { ...launchOptions(options), jvmOptions: [jvmOption], leaveRunning: false })
    await broker.stop()
    await broker.destroy()
  })
}

async function start(options: BrokerOptions, launching: LaunchOptions): Promise<KafkaBroker> {
  const directory = makeFolder(options.directory)
  const work = async () => {
    const known = knownSettings(directory)
    if (known === undefined && options.port !== undefined) await refuseTakenPort(options.port)
    const prepare = async (): Promise<Node[]> => {
      const settings = known === undefined ? await newSettings(options) : carriedOn(directory, known, options)
      return [{ directory, settings }]
    }
    const mayMove = known === undefined && options.port === undefined
    const nodes = await startNodes(prepare, { ...launching, mayMove })
    return nodes.map(({ settings }) => new KafkaBroker(directory, settings, launching))[0] as KafkaBroker
  }
  return withLock(lockFile(directory), work, { signal: options.signal })
}

/** The broker of a folder, running or not. */
export function openBroker(directory: string): KafkaBroker {
  const settings = readSettings(resolve(directory))
  if (settings !== undefined)
    return new KafkaBroker(realpathSync(directory), settings, launchOptions({ leaveRunning: true }))
  throw new KafkaDevError('WRONG_FOLDER', `no broker was ever started in ${resolve(directory)}`)
}

/** What a start before has decided. Before the format nothing is: that start failed, and another one may differ. */
function knownSettings(directory: string): NodeSettings | undefined {
  refuseForeignFolder(directory, settingsFile)
  return isFormatted(directory) ? readSettings(directory) : undefined
}

async function newSettings(options: BrokerOptions): Promise<NodeSettings> {
  const security = options.security ?? 'plaintext'
  const [client = 0, controller = 0, internal = 0, mtls = 0, oauth = 0] = await freePorts(5)
  const ports = { client: options.port ?? client, controller, internal }
  return {
    nodeId: 1,
    clusterId: newId(),
    ports: security === 'plaintext' ? ports : { ...ports, mtls, oauth },
    voters: [{ nodeId: 1, controllerPort: controller, directoryId: newId() }],
    security,
    users: security === 'plaintext' ? [] : checkedUsers(options.users ?? defaultUsers),
    heapMb: options.heapMb ?? 512,
    extraProperties: options.extraProperties ?? {},
  }
}

async function refuseTakenPort(port: number): Promise<void> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new KafkaDevError('BAD_OPTION', `${port} is not a port: give a number from 1 to 65535`)
  if (!(await isFree(port)))
    throw new KafkaDevError('PORT_TAKEN', `port ${port} is taken on 127.0.0.1: give another one`, { facts: { port } })
}

/** The ports stand in the controller's own log since the format, and the users in its records: those are kept. */
function carriedOn(directory: string, known: NodeSettings, options: BrokerOptions): NodeSettings {
  const refuse = (what: string) => {
    const sentence = `the broker in ${directory} has ${what}: destroy it first, or give another folder`
    throw new KafkaDevError('WRONG_FOLDER', sentence)
  }
  if (options.port !== undefined && options.port !== known.ports.client) refuse(`port ${known.ports.client}`)
  if (options.security !== undefined && options.security !== known.security) refuse(`security ${known.security}`)
  if (options.users !== undefined && JSON.stringify(options.users) !== JSON.stringify(known.users))
    refuse('other users')
  return {
    ...known,
    heapMb: options.heapMb ?? known.heapMb,
    extraProperties: options.extraProperties ?? known.extraProperties,
  }
}
