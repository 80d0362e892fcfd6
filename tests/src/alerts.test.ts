/** A Prometheus that watches a running loop by the chart's rules, and an alert on its whole way to whoever is called. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@plateau/contracts'
import { Cluster, complete, readPrompts, serviceNames } from '@plateau/demo'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Clients } from './clients.js'
import { dashboardQueries } from './dashboard-queries.js'
import { demoModel, tinyModel } from './models.js'
import { hasPrometheus, Prometheus } from './prometheus.js'
import { until } from './until.js'

/** What a loop that is asked, scores, trains and has swapped a draft in cannot but say. */
const FED = [
  'plateau:generation_tokens:rate5m',
  'plateau:requests:rate5m',
  'plateau:requests_failed_share:rate5m',
  'plateau:requests_refused_share:rate5m',
  'plateau:time_to_first_token_seconds_p99:rate5m',
  'plateau:inter_token_latency_seconds_p99:rate5m',
  'plateau:spec_decode_acceptance_rate:rate5m',
  'plateau:spec_decode_acceptance_rate_by_version:rate5m',
  'plateau:spec_decode_mean_acceptance_length:rate5m',
  'plateau:spec_decode_alpha:rate5m',
  'plateau:draft_signal_to_live_seconds_p90:rate6h',
  'plateau:target_windows_shed_share:rate5m',
  'plateau:capture_redaction_failed_share:rate5m',
  'plateau:scorer_windows:rate5m',
  'plateau:scorer_kept_share:rate5m',
  'plateau:scorer_batch_seconds_p99:rate5m',
  'plateau:consumer_lag_records:sum',
  'plateau:consumer_oldest_record_age_seconds:max',
  'plateau:trainer_windows:rate5m',
  'plateau:trainer_publishes:increase12h',
  'plateau:checkpoint_store_failed_share:rate5m',
]

/** Counted by kind, and absent until something of the kind happened; or of what is switched on (keep rules, policies). */
const QUIET = [
  'plateau_target_windows_shed_total',
  'plateau_capture_redacted_total',
  'plateau_scorer_dead_lettered_total',
  'plateau_trainer_dead_lettered_total',
  'plateau_trainer_unusable_windows_total',
  'plateau_unusual_responses_total',
  'plateau_requests_refused_total',
  'plateau_rpc_refused_total',
  'plateau_tls_handshakes_refused_total',
  'plateau_trainer_policy_gain',
  'plateau_trainer_rule_gain',
  'plateau_trainer_rule_turns_total',
  'plateau_trainer_bin_weight',
]
/** A share of what goes wrong is 0 where all is well, and not "no data"; shares of one whole are as their parts. */
const isShare = (expr: string): boolean => expr.includes(' / ') && !expr.includes(' group_left ')
const isQuiet = (expr: string): boolean => !isShare(expr) && QUIET.some((name) => expr.includes(`${name}{`))

describe.skipIf(!hasPrometheus())('with a Prometheus that has the rules', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-alerts-'))
  const prometheus = new Prometheus()
  let cluster: Cluster
  let clients: Clients

  beforeAll(async () => {
    const redaction = join(directory, 'redaction.mjs')
    writeFileSync(
      redaction,
      `export default (window) => window.domain === 'unlucky' ? window.noSuchField.text : window\n`,
    )
    const env = { 'target-model': { PLATEAU_REDACTION_MODULE: redaction } }
    cluster = await Cluster.start({ directory, model: tinyModel, env })
    const targets = Object.fromEntries(serviceNames.map((name) => [name, new URL(cluster.opsUrl(name)).host]))
    await prometheus.start({ targets, directory: join(directory, 'prometheus') })
    clients = new Clients([cluster.httpUrl], readPrompts(demoModel, 'sotu').prompts, 2)
  }, 90_000)

  afterAll(async () => {
    await clients?.stop()
    await prometheus.stop()
    await cluster?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  // What was said while Prometheus had not scraped yet, or in another test, is no answer.
  beforeEach(() => void prometheus.received.splice(0))

  test('a running loop gives every shared expression a value', async () => {
    const missing = new Set(FED)
    await until(async () => {
      for (const name of missing) if ((await prometheus.query(name)).length > 0) missing.delete(name)
      return missing.size === 0 ? true : undefined
    }, 60_000).catch(() => {})
    expect([...missing]).toEqual([])
    const [acceptance] = await prometheus.query('plateau:spec_decode_acceptance_rate:rate5m')
    const value = Number(acceptance!.value[1])
    expect(value >= 0 && value <= 1).toBe(true)
  }, 90_000)

  test('every query of the dashboards has data, but for what did not happen', async () => {
    const missing = new Map(dashboardQueries().map((query) => [query.expr, query]))
    expect(missing.size).toBeGreaterThan(90)
    for (const expr of missing.keys()) if (isQuiet(expr)) missing.delete(expr)
    await until(async () => {
      for (const expr of missing.keys()) {
        const samples = await prometheus.query(expr)
        if (samples.some(({ value: [, value] }) => value !== 'NaN')) missing.delete(expr)
      }
      return missing.size === 0 ? true : undefined
    }, 120_000).catch(() => {})
    expect([...missing.values()]).toEqual([])
  }, 150_000)

  test('every rule is evaluated without an error, and nothing that is critical fires', async () => {
    const rules = await until(async () => {
      const all = await prometheus.rules()
      return all.some(({ health }) => health === 'unknown') ? undefined : all
    })
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([])
    expect(rules.length).toBeGreaterThan(50)
    expect(rules.filter(({ state, labels }) => state === 'firing' && labels?.['severity'] === 'critical')).toEqual([])
  })

  /** To whoever is called. */
  const said = (status: 'firing' | 'resolved', alertname: string) =>
    until(
      async () =>
        prometheus.received.find((alert) => alert.status === status && alert.labels['alertname'] === alertname),
      45_000,
    )

  test('a redaction module that fails for a domain calls somebody', async () => {
    const fired = said('firing', 'PlateauRedactionFails')
    let isOver = false
    void fired.finally(() => (isOver = true)).catch(() => {})
    for (let seed = 1; !isOver; seed++) {
      const request = { prompt: 'The state of the Union', maxTokens: 40, temperature: 1, seed, domain: 'unlucky' }
      await complete(cluster.httpUrl, request)
    }
    expect(await fired).toMatchObject({ labels: { job: 'target-model' } })
  }, 90_000)

  test('records that nobody can use call somebody', async () => {
    const log = await cluster.openEventLog()
    const producer = log.producer()
    const junk = { key: 'junk', value: Uint8Array.of(0xff), headers: {} }
    await producer.send(
      topics.tokenDistributions.name,
      Array.from({ length: 12 }, () => junk),
    )
    await producer.close()
    await log.close()
    expect(await said('firing', 'PlateauDeadLetters')).toMatchObject({ labels: { job: 'flatness-scorer' } })
  }, 90_000)

  test('a checkpoint store that is away calls somebody until it is back', async () => {
    // A file stands where the directory was.
    const aside = `${cluster.checkpointDirectory}.aside`
    renameSync(cluster.checkpointDirectory, aside)
    writeFileSync(cluster.checkpointDirectory, '')
    try {
      const unreachable = await said('firing', 'PlateauCheckpointStoreUnreachable')
      expect(unreachable.annotations['runbook']).toBe('docs/runbook.md#plateaucheckpointstoreunreachable')
    } finally {
      rmSync(cluster.checkpointDirectory)
      renameSync(aside, cluster.checkpointDirectory)
    }
    await said('resolved', 'PlateauCheckpointStoreUnreachable')
  }, 120_000)

  test('a trainer that dies calls somebody, but wakes nobody', async () => {
    await cluster.kill9('trainer')
    expect(await said('firing', 'PlateauTrainingAbsent')).toMatchObject({
      labels: { job: 'trainer', severity: 'warning' },
    })
    cluster.launch('trainer')
    await cluster.ready('trainer')
    await said('resolved', 'PlateauTrainingAbsent')
  }, 120_000)

  test('a target that dies calls somebody, with what to read, and so does its return', async () => {
    await cluster.kill9('target-model')
    const unreachable = await said('firing', 'PlateauTargetUnreachable')
    const instance = new URL(cluster.opsUrl('serving')).host
    expect(unreachable).toMatchObject({
      labels: { severity: 'critical', job: 'serving', instance },
      annotations: {
        summary: `${instance} cannot reach its target-model`,
        runbook: 'docs/runbook.md#plateautargetunreachable',
      },
    })
    expect(await said('firing', 'PlateauServingAbsent')).toMatchObject({ labels: { job: 'target-model' } })
    cluster.launch('target-model')
    await cluster.ready('target-model')
    await said('resolved', 'PlateauTargetUnreachable')
  }, 90_000)
})
