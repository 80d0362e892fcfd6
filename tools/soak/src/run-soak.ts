import { messageOf } from '@plateau/contracts'
import { seededRandom } from '@plateau/speculation'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { audit } from './audit.js'
import { planChaos, type PlannedBlow } from './chaos-plan.js'
import { runChaos } from './chaos.js'
import { judge, unexplained, type DiskSample } from './criteria.js'
import { Load } from './load.js'
import type { SoakOptions } from './options.js'
import { Outages } from './outages.js'
import type { SoakReport } from './report.js'
import { supervise } from './supervise.js'
import { openSystem, type SoakSystem } from './system.js'
import { watchProcesses } from './watch-processes.js'

const PROGRESS_MS = 15_000
const DISK_MS = 5_000
const MOST_SHOWN = 10

export interface RunSettings {
  /** Ends the run early; what ran is audited and reported. */
  readonly signal: AbortSignal
  /** One line of progress. */
  readonly say: (line: string) => void
  /** Instead of the schedule that the seed gives. */
  readonly plan?: readonly PlannedBlow[]
}

/** The whole run. Throws when the system does not start. */
export async function runSoak(options: SoakOptions, { signal, say, plan }: RunSettings): Promise<SoakReport> {
  const durationMs = options.minutes * 60_000
  const system = await openSystem(options, say)
  try {
    const outages = new Outages()
    const load = new Load({
      url: system.cluster.httpUrl,
      requestsPerSecond: options.requestsPerSecond,
      durationMs,
      tenants: system.tenants,
      prompts: system.prompts,
      random: seededRandom(options.seed),
      outages,
      signal,
    })
    const blows = plan ?? (options.chaos ? planChaos(durationMs, seededRandom(options.seed + 1), options) : [])
    const over = new AbortController()
    const loadOver = new AbortController()
    const startedMs = Date.now()
    const watching = watchProcesses(system.cluster, loadOver.signal)
    const disk = options.kafka ? Promise.resolve([]) : watchDisk(join(system.directory, 'event-log'), loadOver.signal)
    const supervising = supervise(system.cluster, outages, { signal: over.signal, say })
    const telling = tell(system, load, durationMs, { signal: loadOver.signal, say })
    system.workload.start()
    const chaos = runChaos(system, outages, blows, { signal, say }).then(() => undefined, messageOf)
    let notMended: string | undefined
    try {
      notMended = (await Promise.all([chaos, load.run()]))[0]
    } finally {
      loadOver.abort()
      await telling
    }
    say('the last request has ended; waiting until scorer and trainer have caught up')
    const audited = await audit(system, notMended)
    over.abort()
    const endings = await supervising
    const retentionMs = options.kafka ? undefined : options.retentionSeconds * 1000
    const [samples, diskSamples] = [await watching, await disk]
    return {
      options,
      interrupted: signal.aborted,
      seconds: (Date.now() - startedMs) / 1000,
      requests: {
        planned: load.planned,
        sent: load.sent,
        outcomes: Object.fromEntries(load.outcomes),
        kinds: Object.fromEntries(load.kinds),
        refusals: Object.fromEntries(load.refusals),
      },
      outages: outages.all.map(({ what, fromMs, untilMs }) => ({
        what,
        seconds: ((untilMs ?? fromMs) - fromMs) / 1000,
      })),
      endings,
      audit: audited,
      criteria: judge({ load, audit: audited, outages, endings, samples, disk: diskSamples, retentionMs }),
      unexplained: unexplained(load.failures, outages).slice(0, MOST_SHOWN),
    }
  } finally {
    await system.close()
  }
}

async function tell(
  { watch, captured, workload, cluster }: SoakSystem,
  load: Load,
  durationMs: number,
  { signal, say }: { readonly signal: AbortSignal; readonly say: (line: string) => void },
): Promise<void> {
  const startedMs = Date.now()
  while (!signal.aborted) {
    await sleep(PROGRESS_MS, undefined, { signal }).catch(() => {})
    const of = (outcome: Parameters<typeof load.outcomes.get>[0]) => load.outcomes.get(outcome) ?? 0
    const windows = captured.windows.size
    const away = cluster.processes.filter((name) => !cluster.isRunning(name))
    say(
      `${((Date.now() - startedMs) / 60_000).toFixed(1)} of ${(durationMs / 60_000).toFixed(1)} min: ` +
        `${load.sent} requests, ${of('answered')} answered, ${of('cancelled')} cancelled, ${of('refused')} refused, ` +
        `${load.failures.length} failed, ${load.inFlight} open; ${windows} windows (${workload.acknowledged.length} ` +
        `numbered), ${watch.decisions.size} decided${away.length > 0 ? `; away: ${away.join(', ')}` : ''}`,
    )
  }
}

async function watchDisk(directory: string, signal: AbortSignal): Promise<DiskSample[]> {
  const samples: DiskSample[] = []
  while (!signal.aborted) {
    samples.push({ atMs: Date.now(), mib: (await bytesIn(directory)) / 2 ** 20 })
    await sleep(DISK_MS, undefined, { signal }).catch(() => {})
  }
  return samples
}

async function bytesIn(directory: string): Promise<number> {
  const files = await readdir(directory, { recursive: true })
  // A side file may go between the listing and the look.
  const sizes = files.map((file) =>
    stat(join(directory, file)).then(
      ({ size }) => size,
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
