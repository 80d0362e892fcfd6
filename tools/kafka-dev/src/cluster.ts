import { readdirSync, realpathSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { KafkaBroker } from './broker.js'
import { KafkaDevError } from './errors.js'
import { withLock } from './lock.js'
import { isFormatted, lockFile } from './node-process.js'
import { freePorts } from './ports.js'
import { readSettings, settingsFile, type NodeSettings } from './settings.js'
import { rehearseOnce } from './start-broker.js'
import {
  launchOptions,
  makeFolder,
  newId,
  refuseForeignFolder,
  startNodes,
  type Node,
  type StartOptions,
} from './start-nodes.js'

export interface ClusterOptions extends StartOptions {
  /** Keeps its data and its ports: a later start carries on. Default: a new temporary folder. */
  readonly directory?: string
}

/** Three brokers, each also a controller: replication factor 3, two in sync, one may fail. */
export class KafkaCluster {
  readonly directory: string
  readonly brokers: readonly KafkaBroker[]
  readonly bootstrapServers: readonly string[]

  constructor(directory: string, brokers: readonly KafkaBroker[]) {
    this.directory = directory
    this.brokers = brokers
    this.bootstrapServers = brokers.map((broker) => broker.bootstrap)
  }

  /** Starts those that do not run. */
  async start(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.start()))
  }

  /** Orderly, as far as that goes: the last one has nobody left to hand over to, and is killed after a while. */
  async stop(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.stop({ patienceMs: 10_000 })))
  }

  /** Ends all at once and deletes their folder. */
  async destroy(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.destroy()))
    if (readdirSync(this.directory).length === 0) rmSync(this.directory, { recursive: true })
  }
}

/** Starts three plaintext brokers and waits until all serve; a cluster that runs already in that folder is joined. */
export async function startCluster(options: ClusterOptions = {}): Promise<KafkaCluster> {
  await rehearseOnce(options)
  const directory = makeFolder(options.directory)
  const launching = launchOptions(options)
  const start = async () => {
    refuseForeignFolder(directory, join('node-1', settingsFile))
    const isNew = !nodeFolders(directory).every(isFormatted)
    const prepare = async () => (isNew ? await newNodes(directory, options) : knownNodes(directory, options))
    const nodes = await startNodes(prepare, { ...launching, mayMove: isNew })
    const brokers = nodes.map((node) => new KafkaBroker(node.directory, node.settings, launching))
    return new KafkaCluster(directory, brokers)
  }
  return withLock(lockFile(directory), start, { signal: options.signal })
}

/** The cluster of a folder, running or not. */
export function openCluster(directory: string): KafkaCluster {
  const nodes = knownNodes(resolve(directory), {})
  const launching = launchOptions({ leaveRunning: true })
  const brokers = nodes.map((node) => new KafkaBroker(realpathSync(node.directory), node.settings, launching))
  return new KafkaCluster(realpathSync(directory), brokers)
}

const nodeFolders = (directory: string) => [1, 2, 3].map((nodeId) => join(directory, `node-${nodeId}`))

function knownNodes(directory: string, { heapMb, extraProperties }: StartOptions): Node[] {
  return nodeFolders(directory).map((folder) => {
    const known = readSettings(folder)
    if (known === undefined) throw new KafkaDevError('WRONG_FOLDER', `no cluster was ever started in ${directory}`)
    const settings = {
      ...known,
      heapMb: heapMb ?? known.heapMb,
      extraProperties: extraProperties ?? known.extraProperties,
    }
    return { directory: folder, settings }
  })
}

async function newNodes(directory: string, options: StartOptions): Promise<Node[]> {
  const ports = await freePorts(9)
  const voters = [0, 1, 2].map((i) => ({ nodeId: i + 1, controllerPort: ports[i] ?? 0, directoryId: newId() }))
  const shared = {
    clusterId: newId(),
    voters,
    security: 'plaintext',
    users: [],
    heapMb: options.heapMb ?? 384,
    extraProperties: options.extraProperties ?? {},
  } satisfies Partial<NodeSettings>
  return nodeFolders(directory).map((folder, i) => ({
    directory: folder,
    settings: {
      ...shared,
      nodeId: i + 1,
      ports: { controller: ports[i] ?? 0, client: ports[i + 3] ?? 0, internal: ports[i + 6] ?? 0 },
    },
  }))
}
