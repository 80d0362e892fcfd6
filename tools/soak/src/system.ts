import { allTopics, topics, type TopicSpec } from '@plateau/contracts'
import { Cluster, readPrompts, serviceNames } from '@plateau/demo'
import type { EventLog, Reader } from '@plateau/event-log'
import { firstWindow, FlowWatch, openBrokers, Workload, type Brokers } from '@plateau/faults'
import { resolveKafka } from '@plateau/kafka-dev'
import { eventLogConfig, openEventLog } from '@plateau/service-kit'
import { digestOf, formatApiKeys } from '@plateau/serving'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SoakOptions } from './options.js'
import type { Tenant } from './requests.js'

const model = (name: string): string => fileURLToPath(new URL(`../../../models/${name}`, import.meta.url))

/** Everything that runs: services, log, whoever watches it, and the stream of numbered windows. */
export interface SoakSystem {
  readonly directory: string
  readonly cluster: Cluster
  readonly brokers: Brokers | undefined
  readonly log: EventLog
  readonly watch: FlowWatch
  readonly captured: CapturedWindows
  readonly workload: Workload
  readonly tenants: readonly Tenant[]
  readonly prompts: readonly string[]
  close(): Promise<void>
}

/** Starts it all; what was started before a failure is stopped. */
export async function openSystem(options: SoakOptions, say: (line: string) => void): Promise<SoakSystem> {
  const closing: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).toReversed()) await one()
  }
  try {
    const directory = await openDirectory(options.directory, closing)
    const brokers = options.kafka ? await startKafka(directory, say) : undefined
    if (brokers !== undefined) closing.push(() => brokers.close())
    const eventLog = {
      PLATEAU_EVENT_LOG:
        brokers === undefined ? `embedded:${join(directory, 'event-log')}` : `kafka:${brokers.bootstrapServers.join()}`,
      ...(brokers === undefined ? {} : { PLATEAU_KAFKA_REPLICATION: '1' }),
    }
    const tenants = makeTenants()
    const keysFile = join(directory, 'keys.json')
    await writeFile(keysFile, keysOf(tenants), { mode: 0o600 })
    say(`starting ${[...serviceNames, 'console'].join(', ')}`)
    await applyTopics(eventLog, topicsKeptFor(options.retentionSeconds))
    const cluster = await Cluster.start({
      directory,
      model: options.target ?? model('tiny-target'),
      services: [...serviceNames, 'console'],
      eventLog,
      env: {
        serving: { PLATEAU_CAPTURE: 'consented', PLATEAU_API_KEYS_FILE: keysFile },
        // Bounds that are reached within minutes: what grows after that has none. A real target's context needs more.
        ...(options.target === undefined ? { 'target-model': { PLATEAU_CACHE_BYTES: '16MiB' } } : {}),
        trainer: { PLATEAU_SNAPSHOT_SECONDS: '5', PLATEAU_REPLAY_POSITIONS: '5000' },
      },
    })
    closing.push(() => cluster.stop())
    const log = await cluster.openEventLog()
    closing.push(() => log.close())
    const watch = new FlowWatch(log)
    closing.push(() => watch.close())
    const captured = new CapturedWindows(log)
    closing.push(() => captured.close())
    const prompts = readPrompts(model('demo-target'), 'sotu').prompts
    const [pattern] = await Promise.all([firstWindow(log), askOnce(cluster.httpUrl, tenants[0]!.key, prompts[0]!)])
    const workload = new Workload(log, pattern)
    closing.push(() => workload.abandon())
    return { directory, cluster, brokers, log, watch, captured, workload, tenants, prompts, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Follows what real requests were captured: a window that a reader finds was acknowledged. */
export class CapturedWindows {
  readonly windows = new Set<string>()
  failure: unknown
  readonly #reader: Reader
  readonly #loop: Promise<void>

  constructor(log: EventLog) {
    this.#reader = log.reader({ topic: topics.tokenDistributions.name, from: 'earliest' })
    this.#loop = this.#read()
  }

  async close(): Promise<void> {
    await this.#reader.close()
    await this.#loop
  }

  async #read(): Promise<void> {
    try {
      for await (const { records } of this.#reader) {
        for (const { headers } of records) {
          // "window:<sample>:<index>"
          const [, sample, index] = headers['ce_id']!.split(':')
          this.windows.add(`${sample}/${index}`)
        }
      }
    } catch (error) {
      this.failure ??= error
    }
  }
}

async function openDirectory(asked: string | undefined, closing: (() => Promise<unknown>)[]): Promise<string> {
  if (asked !== undefined) {
    const directory = resolve(asked)
    await mkdir(directory, { recursive: true })
    return directory
  }
  const directory = await mkdtemp(join(tmpdir(), 'plateau-soak-'))
  closing.push(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function startKafka(directory: string, say: (line: string) => void): Promise<Brokers> {
  await resolveKafka({ onProgress: say })
  say('starting a broker')
  return openBrokers('one broker', directory)
}

/** One that consents, one that does not, and one that soon reaches its quota. */
function makeTenants(): Tenant[] {
  const tenant = (name: string, capture: boolean, requestsPerMinute?: number): Tenant => {
    return { name, capture, requestsPerMinute, key: `pl_${randomBytes(32).toString('base64url')}` }
  }
  return [tenant('acme', true), tenant('private', false), tenant('hasty', true, 20)]
}

function keysOf(tenants: readonly Tenant[]): string {
  return formatApiKeys(
    tenants.map(({ name, key, capture, requestsPerMinute }) => ({
      name,
      tenant: name,
      sha256: digestOf(key),
      admin: false,
      noSpeculation: false,
      capture,
      requestsPerMinute,
      tokensPerMinute: undefined,
      maxConcurrent: undefined,
    })),
  )
}

/** The topics that grow with traffic, kept for less than the run lasts. */
function topicsKeptFor(retentionSeconds: number): TopicSpec[] {
  return allTopics.map((spec) =>
    spec.cleanup === 'delete' ? { ...spec, retentionMs: Math.min(spec.retentionMs, retentionSeconds * 1000) } : spec,
  )
}

/** Before the services, which take a topic's retention as they find it. */
async function applyTopics(settings: Readonly<Record<string, string>>, specs: readonly TopicSpec[]): Promise<void> {
  const log = await openEventLog(eventLogConfig.parse(settings))
  try {
    await log.applyTopics(specs)
  } finally {
    await log.close()
  }
}

/** So that there is a captured window to copy. */
async function askOnce(url: string, key: string, prompt: string): Promise<void> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ prompt, max_tokens: 24 }),
  })
  if (!response.ok) throw new Error(`the first request was answered with ${response.status}: ${await response.text()}`)
  await response.arrayBuffer()
}
