/** Prometheus and Alertmanager as processes, with rules of ours and a receiver in this process. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from '@plateau/kafka-dev'
import { until } from './until.js'

const rulesDirectory = fileURLToPath(new URL('../../deploy/helm/plateau/files/rules', import.meta.url))
/** Debian's name, then the project's own. */
const alertmanagers = ['prometheus-alertmanager', 'alertmanager']

/** CI has these programs, so there a missing one is an error and not a reason to skip. */
export function hasPrometheus(): boolean {
  return process.env['CI'] !== undefined || (hasProgram('prometheus') && alertmanagers.some(hasProgram))
}

function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0
}

export interface ReceivedAlert {
  readonly status: 'firing' | 'resolved'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface RuleState {
  readonly name: string
  readonly type: 'alerting' | 'recording'
  readonly health: string
  readonly lastError?: string
  readonly state?: string
  readonly labels?: Readonly<Record<string, string>>
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

export interface Watched {
  /** host:port by job, as the chart's ServiceMonitor names jobs. */
  readonly targets: Readonly<Record<string, string>>
  readonly directory: string
}

/**
 * Loads the chart's rules and looks every second. Only `for` is another than in a deployment: one second, so that a test does
 * not wait for minutes.
 */
export class Prometheus {
  /** What Alertmanager sent to the webhook, in order. */
  readonly received: ReceivedAlert[] = []
  #url = ''
  readonly #children: ChildProcess[] = []
  #webhook: Server | undefined

  async start({ targets, directory }: Watched): Promise<void> {
    mkdirSync(join(directory, 'rules'), { recursive: true })
    for (const file of globSync(join(rulesDirectory, '*.yaml')))
      writeFileSync(
        join(directory, 'rules', basename(file)),
        readFileSync(file, 'utf8').replaceAll(/^( +for:) .*$/gm, '$1 1s'),
      )
    const webhook = `http://127.0.0.1:${await this.#listen()}/`
    const [own, alertmanager] = await freePorts(2)
    this.#url = `http://127.0.0.1:${own}`
    const write = (name: string, config: object): string => {
      // JSON is YAML.
      writeFileSync(join(directory, name), JSON.stringify(config))
      return join(directory, name)
    }
    const routes = write('alertmanager.yml', {
      route: { receiver: 'test', group_by: ['...'], group_wait: '0s', group_interval: '1s' },
      receivers: [{ name: 'test', webhook_configs: [{ url: webhook, send_resolved: true }] }],
    })
    const scrapes = write('prometheus.yml', {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [join(directory, 'rules', '*.yaml')],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertmanager}`] }] }] },
      scrape_configs: Object.entries(targets).map(([job, target]) => ({
        job_name: job,
        static_configs: [{ targets: [target] }],
      })),
    })
    this.#run(alertmanagers.find(hasProgram) ?? alertmanagers[0]!, [
      `--config.file=${routes}`,
      `--storage.path=${join(directory, 'alertmanager')}`,
      `--web.listen-address=127.0.0.1:${alertmanager}`,
      '--cluster.listen-address=',
    ])
    this.#run('prometheus', [
      `--config.file=${scrapes}`,
      `--storage.tsdb.path=${join(directory, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${own}`,
    ])
    await until(async () => ((await answers(`${this.#url}/-/ready`)) ? true : undefined), 30_000)
    await until(async () => ((await answers(`http://127.0.0.1:${alertmanager}/-/ready`)) ? true : undefined), 30_000)
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.pid === undefined) return
        const ended = new Promise((resolve) => child.once('close', resolve))
        child.kill('SIGTERM')
        await ended
      }),
    )
    this.#webhook?.closeAllConnections()
    this.#webhook?.close()
  }

  /** What an expression says now. */
  async query(expression: string): Promise<readonly Sample[]> {
    const { result } = await this.#ask<{ result: Sample[] }>(`query?query=${encodeURIComponent(expression)}`)
    return result
  }

  async rules(): Promise<readonly RuleState[]> {
    const { groups } = await this.#ask<{ groups: { rules: RuleState[] }[] }>('rules')
    return groups.flatMap(({ rules }) => rules)
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`)
    const answer = (await response.json()) as { readonly data: T; readonly error?: string }
    if (!response.ok) throw new Error(`Prometheus answers ${path} with ${answer.error ?? response.status}`)
    return answer.data
  }

  /** Starts the receiver; returns its port. */
  #listen(): Promise<number> {
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')))
      request.on('end', () => {
        this.received.push(...(JSON.parse(body) as { readonly alerts: readonly ReceivedAlert[] }).alerts)
        response.end()
      })
    })
    this.#webhook = server
    return new Promise((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
    )
  }

  #run(program: string, args: readonly string[]): void {
    const child = spawn(program, [...args, '--log.level=warn'], { stdio: ['ignore', 'ignore', 'inherit'] })
    child.once('error', (error) => {
      throw error
    })
    process.once('exit', () => child.kill('SIGKILL'))
    this.#children.push(child)
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
}
