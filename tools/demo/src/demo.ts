import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { acceptanceCurve, type AcceptanceCurve } from './acceptance-curve.js'
import { Cluster, serviceNames } from './cluster.js'
import { resolveTarget, type DemoTarget } from './demo-target.js'
import { checkGreedy } from './greedy-check.js'
import { compareWithPlain, nearTieGap } from './lossless.js'
import { metricSum } from './metrics.js'
import { acceptanceBetween, lagGroups, Observer } from './observer.js'
import { openBroker } from './broker.js'
import type { DemoOptions } from './options.js'
import { plotSvg } from './plot.js'
import type { PromptSet } from './prompts.js'
import { reportTable, type DemoReport, type PhaseReport, type WindowCounts } from './report.js'
import { measureRounding } from './rounding.js'
import { ruleText, selectionReport } from './selection-report.js'
import { measureSpeed, overall } from './speed.js'
import { TargetClient } from './target-client.js'
import { Traffic } from './traffic.js'
import { createView, type View } from './view.js'

interface Phase extends PromptSet {
  readonly title: string
  readonly fromMs: number
  readonly toMs: number
  /** Version that was live when the phase began. */
  readonly frozenVersion: string
}

interface Pace {
  readonly phaseSeconds: number
  readonly maxTokens: number
  readonly greedyKept: number
  readonly speedPrompts: number
  readonly buckets: number
  readonly positionsPerBucket: number
}

/**
 * How long things take and how much is compared. The full demo stays under five minutes, the quick one under 90 s; on a
 * real target, which is slower and answers at length, under six and three minutes.
 */
function paceOf({ quick }: DemoOptions, { isReal }: DemoTarget): Pace {
  if (isReal) {
    return quick
      ? { phaseSeconds: 45, maxTokens: 96, greedyKept: 8, speedPrompts: 2, buckets: 8, positionsPerBucket: 250 }
      : { phaseSeconds: 90, maxTokens: 128, greedyKept: 16, speedPrompts: 5, buckets: 12, positionsPerBucket: 400 }
  }
  return quick
    ? { phaseSeconds: 22, maxTokens: 48, greedyKept: 10, speedPrompts: 3, buckets: 8, positionsPerBucket: 250 }
    : { phaseSeconds: 90, maxTokens: 64, greedyKept: 32, speedPrompts: 10, buckets: 18, positionsPerBucket: 500 }
}

/** What a run of minutes needs: a threshold that has seen enough after seconds, and all versions kept for the comparison. */
const demoSettings = (lineage: string, { env }: DemoTarget) => ({
  'target-model': { ...env['target-model'] },
  'flatness-scorer': { PLATEAU_LINEAGE: lineage, PLATEAU_RECENT_WINDOWS: '12', PLATEAU_WARM_UP_WINDOWS: '4' },
  trainer: { PLATEAU_LINEAGE: lineage, PLATEAU_KEEP_VERSIONS: '1000', ...env.trainer },
  serving: { PLATEAU_LINEAGE: lineage, ...env.serving },
})

/** Prompts whose answers tell how far the target's own numbers lie apart. */
const ROUNDING_PROMPTS = 16
/** The version that a warm lineage begins with. */
const FIRST_VERSION = '1'

/**
 * Runs the whole demonstration and returns its report; prints as it goes. Aborting `signal` ends it: services stop, files
 * go, and the promise rejects.
 */
export async function runDemo(
  options: DemoOptions,
  stream: NodeJS.WriteStream,
  signal: AbortSignal = new AbortController().signal,
): Promise<DemoReport> {
  const view = createView(stream, options.plain)
  const directory = resolve(options.directory ?? (await mkdtemp(join(tmpdir(), 'plateau-demo-'))))
  const open: (() => Promise<unknown> | void)[] = []
  if (options.directory === undefined) open.push(() => rm(directory, { recursive: true, force: true }))
  try {
    const broker = await openBroker(options.kafka, directory, signal, (line) => view.say(line))
    open.push(() => broker?.close())
    signal.throwIfAborted()

    const on = await resolveTarget(options.target, { signal, say: (line) => view.say(line) })
    view.say(`starting target-model, flatness-scorer, trainer, serving and console (files in ${directory})`)
    if (on.warmStart !== undefined) view.say(`the draft begins as ${on.warmStart}`)
    const lineage = broker?.isShared ? `demo-${Date.now().toString(36)}` : 'default'
    const settings = { env: demoSettings(lineage, on), ...(broker && { eventLog: broker.settings }) }
    const services = [...serviceNames, 'console'] as const
    const { mtls } = options
    const cluster = await Cluster.start({ directory, model: resolve(on.path), services, mtls, ...settings })
    open.push(() => cluster.stop())
    view.say(`versions, acceptance and why each was swapped: ${cluster.httpUrlOf('console')}`)
    const log = await cluster.openEventLog()
    open.push(() => log.close())
    const transport = await cluster.openTransport()
    open.push(() => transport.close())
    const target = await TargetClient.connect(cluster.targetAddress, on.path, transport.client('target-model'))
    open.push(() => target.close())
    const observer = new Observer(log, lineage, broker?.isShared ? 'latest' : 'earliest')
    await observer.start()
    open.push(() => observer.stop())
    const { maxTokens, greedyKept } = paceOf(options, on)
    const traffic = new Traffic({ url: cluster.httpUrl, clients: options.clients, maxTokens, greedyKept })
    open.push(() => traffic.stop())

    const stage = { options, on, lineage, stream, view, cluster, observer, target, traffic }
    const report = await Promise.race([tellStory(stage), rejectedBy(signal)])
    if (options.keep) await keepRunning(cluster, stream, signal)
    return report
  } finally {
    view.end()
    for (const close of open.toReversed()) await close()
  }
}

interface Stage {
  readonly options: DemoOptions
  readonly on: DemoTarget
  readonly lineage: string
  readonly stream: NodeJS.WriteStream
  readonly view: View
  readonly cluster: Cluster
  readonly observer: Observer
  readonly target: TargetClient
  readonly traffic: Traffic
}

/** Traffic in two phases; then the comparisons, while nothing else is asked; then the report. */
async function tellStory(stage: Stage): Promise<DemoReport> {
  const { options, on, lineage, stream, view, cluster, observer, target, traffic } = stage
  const startMs = Date.now()
  const settings = paceOf(options, on)
  const phases = await runPhases(stage, startMs, settings.phaseSeconds)
  await traffic.stop()

  view.say('comparing greedy answers with plain decoding')
  const rounding = on.isReal ? await roundingOf(stage, settings) : undefined
  const tieGap = Math.max(nearTieGap, 2 * (rounding ?? 0))
  const lossless = await compareWithPlain(cluster.httpUrl, target, traffic.greedyAnswers, tieGap)
  const greedy = on.isReal ? await checkGreedy(cluster.httpUrl, observer, traffic.greedyAnswers) : undefined
  for (const detail of [...lossless.details, ...traffic.failures.slice(0, 5)]) view.say(`  ${detail}`)

  view.say('measuring plain and speculative decoding in turn')
  const byDomain = await measureSpeed({
    url: cluster.httpUrl,
    domains: [...on.domains, ...on.alsoMeasured],
    maxTokens: settings.maxTokens,
    promptsPerDomain: settings.speedPrompts,
  })

  view.say('scoring the live and the frozen drafts on the recorded distributions')
  await drained(observer)
  const curves: AcceptanceCurve[] = []
  for (const phase of phases) {
    const windows = observer.windows.filter((w) => w.atMs >= phase.fromMs && w.atMs < phase.toMs)
    curves.push(
      await acceptanceCurve({
        windows,
        live: observer.live,
        frozenVersion: phase.frozenVersion,
        lineage,
        checkpoints: cluster.checkpointDirectory,
        model: on.path,
        buckets: settings.buckets,
        positionsPerBucket: settings.positionsPerBucket,
      }),
    )
  }
  if (observer.failure) throw observer.failure

  const report: DemoReport = {
    failedRequests: traffic.failures.length,
    completedRequests: traffic.completed,
    losslessChecked: lossless.checked,
    losslessMismatches: lossless.mismatches,
    nearTies: lossless.nearTies,
    tieGap,
    ...(greedy && { greedy }),
    startedWarm: on.warmStart !== undefined,
    swaps: observer.swaps,
    phases: phases.map((phase, i) => phaseReport(phase, curves[i]!, observer)),
    windows: await windowCounts(cluster, observer),
    keptShare: observer.counts.kept / Math.max(1, observer.counts.selected + observer.counts.control),
    selection: await selectionReport(observer.policy, cluster.opsUrl('trainer')),
    tokensPerSecond: { ...overall(byDomain), byDomain },
    seconds: (Date.now() - startMs) / 1000,
  }
  await writeFile(options.plotFile, plotSvg(plotOf(phases, curves, observer, startMs)))
  if (options.jsonFile) await writeFile(options.jsonFile, `${JSON.stringify(report, null, 2)}\n`)
  view.end()
  stream.write(`\n${reportTable(report)}\n\nplot: ${resolve(options.plotFile)}\n`)
  return report
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = () => reject(new Error('it was interrupted'))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

function roundingOf({ on, observer, target }: Stage, { maxTokens }: Pace): Promise<number> {
  const prompts = on.domains.flatMap((domain) => domain.prompts.slice(0, ROUNDING_PROMPTS / on.domains.length))
  return measureRounding(target, observer, { prompts, maxTokens })
}

async function runPhases({ on, traffic, observer, view }: Stage, startMs: number, phaseSeconds: number) {
  const phases: Phase[] = []
  for (const [i, domain] of on.domains.entries()) {
    const title = i === 0 ? 'base' : 'shift'
    // A warm lineage is compared with what it began with, all through.
    const frozenVersion = (on.warmStart === undefined ? observer.live.at(-1)?.version : undefined) ?? FIRST_VERSION
    const fromMs = Date.now()
    view.say(`phase ${title}: prompts from ${domain.name}, draft version ${frozenVersion}`)
    traffic.switchTo(domain.name, domain.prompts)
    if (i === 0) traffic.start()
    while (Date.now() - fromMs < phaseSeconds * 1000) {
      await sleep(500)
      const phase = `${title} (${domain.name})`
      view.show(await moment(observer, traffic, startMs, { name: phase, fromMs, lengthSeconds: phaseSeconds }))
    }
    phases.push({ ...domain, title, fromMs, toMs: Date.now(), frozenVersion })
  }
  return phases
}

async function moment(
  observer: Observer,
  traffic: Traffic,
  startMs: number,
  phase: { name: string; fromMs: number; lengthSeconds: number },
) {
  const nowMs = Date.now()
  const spanMs = 5000
  const recent = observer.acceptance.filter((record) => record.toMs > nowMs - spanMs)
  const now = acceptanceBetween(recent, nowMs - spanMs, nowMs)
  const versions = [...new Set(recent.map((record) => record.draftVersion))].filter((version) => version !== '0')
  const [scorerLag, trainerLag] = await Promise.all(lagGroups.map(({ group, topic }) => observer.lag(group, topic)))
  const { counts } = observer
  return {
    seconds: (nowMs - startMs) / 1000,
    phase: phase.name,
    phaseSeconds: (nowMs - phase.fromMs) / 1000,
    phaseLengthSeconds: phase.lengthSeconds,
    tokensPerSecond: now.emitted / (spanMs / 1000),
    acceptanceLength: now.acceptanceLength,
    alpha: now.alpha,
    byVersion: versions.slice(-3).map((version) => ({
      version,
      ...acceptanceBetween(
        recent.filter((record) => record.draftVersion === version),
        nowMs - spanMs,
        nowMs,
      ),
    })),
    keptShare: counts.kept / (counts.selected + counts.control),
    rule: ruleText(observer.policy),
    captured: counts.captured,
    scorerLag: scorerLag!,
    trainerLag: trainerLag!,
    liveVersion: observer.live.at(-1)?.version ?? '0',
    swaps: observer.swaps,
    completed: traffic.completed,
    failed: traffic.failures.length,
  }
}

/** Waits until the scorer and the trainer have caught up, at most 20 s: then the counts add up. */
async function drained(observer: Observer): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const lags = await Promise.all(lagGroups.map(({ group, topic }) => observer.lag(group, topic)))
    if (lags.every((lag) => lag === 0) && observer.counts.scored >= observer.counts.captured) return
    await sleep(200)
  }
}

function phaseReport(phase: Phase, curve: AcceptanceCurve, observer: Observer): PhaseReport {
  const within = observer.acceptance.filter((record) => record.toMs > phase.fromMs && record.toMs <= phase.toMs)
  const span = phase.toMs - phase.fromMs
  // Over a tenth of the phase at its start, its worst tenth, and the last fifth.
  const at = (from: number, to: number) => {
    const { drafts, acceptanceLength } = acceptanceBetween(within, phase.fromMs + from * span, phase.fromMs + to * span)
    return drafts > 0 ? acceptanceLength : Number.NaN
  }
  const tenths = Array.from({ length: 19 }, (_, i) => at(i * 0.05, i * 0.05 + 0.1))
  return {
    name: phase.title,
    alphaStart: curve.start.alpha,
    alphaWorst: curve.worst.alpha,
    alphaEnd: curve.end.alpha,
    frozenAlphaEnd: curve.end.frozenAlpha,
    acceptanceLengthStart: tenths[0]!,
    acceptanceLengthWorst: Math.min(...tenths.filter(Number.isFinite)),
    acceptanceLengthEnd: at(0.8, 1),
    swaps: observer.live.filter((live) => live.atMs >= phase.fromMs && live.atMs < phase.toMs).length,
    tokens: within.reduce((sum, record) => sum + record.numEmittedTokens, 0),
  }
}

async function windowCounts(cluster: Cluster, observer: Observer): Promise<WindowCounts> {
  const { captured, scored, kept, control, evaluation } = observer.counts
  const [shed, trained] = await Promise.all([
    metricSum(cluster.opsUrl('target-model'), 'plateau_target_windows_shed_total'),
    metricSum(cluster.opsUrl('trainer'), 'plateau_trainer_windows_total', 'arm="evaluation"'),
  ])
  return { captured, shed, scored, kept, control, evaluation, trained }
}

function plotOf(phases: readonly Phase[], curves: readonly AcceptanceCurve[], observer: Observer, startMs: number) {
  const seconds = (atMs: number) => (atMs - startMs) / 1000
  return {
    title: 'A draft that learns from the traffic it serves, and recovers from a shift',
    points: curves.flatMap((curve) =>
      curve.points.map((point) => ({
        seconds: seconds(point.atMs),
        alpha: point.alpha,
        frozenAlpha: point.frozenAlpha,
        acceptanceLength: acceptanceBetween(observer.acceptance, point.atMs - 3000, point.atMs + 3000).acceptanceLength,
      })),
    ),
    phases: phases.map((phase) => ({
      name: `${phase.title}: ${phase.name}`,
      fromSeconds: seconds(phase.fromMs),
      toSeconds: seconds(phase.toMs),
    })),
    swaps: observer.live.map((live) => ({ version: live.version, seconds: seconds(live.atMs) })),
  }
}

async function keepRunning(cluster: Cluster, stream: NodeJS.WriteStream, signal: AbortSignal): Promise<void> {
  stream.write(
    [
      '\nstill running; Ctrl-C ends it',
      `  completions  ${cluster.httpUrl}/v1/completions`,
      `  console      ${cluster.httpUrlOf('console')}`,
      `  metrics      ${cluster.httpUrl}/metrics and, per service:`,
      ...(['target-model', 'flatness-scorer', 'trainer'] as const).map(
        (name) => `    ${name.padEnd(16)} ${cluster.opsUrl(name)}/metrics`,
      ),
      `  event log    ${cluster.eventLogUrl}`,
      '',
    ].join('\n'),
  )
  if (!signal.aborted) await once(signal, 'abort')
}
