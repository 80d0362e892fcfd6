import type { ProcessName } from '@plateau/demo'
import type { Audit } from './audit.js'
import type { Failure, Load } from './load.js'
import type { Outages } from './outages.js'
import type { Ending } from './supervise.js'
import { LEAST_SAMPLES, trendOf, type Trend } from './trend.js'
import type { Sample } from './watch-processes.js'

export interface Criterion {
  readonly name: string
  /** What was found, in words. */
  readonly found: string
  /** What has to hold, in words. */
  readonly bound: string
  /** `undecided`: too little was seen to say; the run does not fail by it. */
  readonly verdict: 'passed' | 'FAILED' | 'undecided'
}

/** Growth that is told from noise and is more than this fails a run; MiB a minute, over the second half of a life. */
const RESIDENT_MIB_A_MINUTE = 2
const HEAP_MIB_A_MINUTE = 1
/** In the minutes after a start caches fill and code is compiled: half of a shorter life says nothing of a leak. */
const LEAST_HALF_MS = 240_000
/** How much slower the last third of the run may be at the 99th percentile. */
const P99_RATIO = 2
const LEAST_TIMES = 200
/** Growth of the median from a life's first third to its last, beside a tenth. */
const [MORE_FILES, MORE_THREADS, MORE_DELAY_MS] = [8, 4, 100]
/** How much the log may grow once records have begun to expire, beside a quarter: WALs come and go. */
const MORE_LOG_MIB = 32

export interface Seen {
  readonly load: Load
  readonly audit: Audit
  readonly outages: Outages
  readonly endings: readonly Ending[]
  readonly samples: ReadonlyMap<ProcessName, readonly Sample[]>
  readonly disk: readonly DiskSample[]
  /** Undefined: the log is not ours to bound (Kafka). */
  readonly retentionMs: number | undefined
}

export interface DiskSample {
  readonly atMs: number
  readonly mib: number
}

/** What the run has to be judged by. */
export function judge(seen: Seen): Criterion[] {
  return [
    ...ofRequests(seen),
    ...ofWindows(seen.audit),
    ofEndings(seen.endings),
    ...ofTimes(seen.load),
    ...[...seen.samples].flatMap(([name, samples]) => ofProcess(name, samples)),
    ...(seen.retentionMs === undefined ? [] : [ofDisk(seen.disk, seen.retentionMs)]),
  ]
}

/** Failures that no outage of serving or target explains. */
export function unexplained(failures: readonly Failure[], outages: Outages): Failure[] {
  return failures.filter(({ outcome, fromMs, untilMs }) => {
    const mayBe = outcome === 'unexplained' ? undefined : outages.during(['serving', 'target-model'], fromMs, untilMs)
    return mayBe === undefined
  })
}

function ofRequests({ load, outages }: Seen): Criterion[] {
  const ended = [...load.outcomes.values()].reduce((sum, count) => sum + count, 0)
  const unexplainedFailures = unexplained(load.failures, outages)
  return [
    zero('requests without an end', load.sent - ended),
    zero('requests that could not be sent in time', load.heldBack),
    zero('failures outside of an outage', unexplainedFailures.length),
  ]
}

function ofWindows(audit: Audit): Criterion[] {
  return [
    atLeastOne('windows that the log acknowledged', audit.acknowledged),
    zero('acknowledged, without a decision', audit.withoutDecision),
    zero('with two decisions', audit.withTwoDecisions),
    zero('without a training record', audit.withoutTrainingRecord),
    zero('with training records under two ids', audit.withTwoTrainingIds),
    zero("the trainer's count is off by", audit.trainerOffBy),
    zero('watchers that gave up, or queues not worked off', audit.problems.length),
  ]
}

function ofEndings(endings: readonly Ending[]): Criterion {
  return zero('processes that ended by themselves in calm', endings.filter(({ during }) => during === undefined).length)
}

function ofTimes({ thirds }: Load): Criterion[] {
  const kinds = [
    ['p99 of time to first token', 'firstPiece'],
    ['p99 of inter-token time', 'token'],
  ] as const
  return kinds.map(([name, kind]) => {
    const [first, , last] = thirds.map((times) => times[kind])
    const bound = `last third at most ${P99_RATIO} times the first`
    if (first!.count < LEAST_TIMES || last!.count < LEAST_TIMES)
      return { name, bound, found: `${first!.count} and ${last!.count} times`, verdict: 'undecided' }
    const [from, to] = [first!.percentile(99) / 1000, last!.percentile(99) / 1000]
    const found = `${from.toFixed(0)} ms, then ${to.toFixed(0)} ms: ${(to / from).toFixed(2)}`
    return { name, bound, found, verdict: passed(to <= P99_RATIO * from) }
  })
}

function ofProcess(name: ProcessName, all: readonly Sample[]): Criterion[] {
  const life = longestLife(all)
  const half = laterHalf(life)
  const points = (of: (sample: Sample) => number | undefined) =>
    half.flatMap((sample): [number, number][] => {
      const value = of(sample)
      return value === undefined ? [] : [[sample.atMs / 60_000, value]]
    })
  const series = (of: (sample: Sample) => number | undefined) => life.map(of).filter((value) => value !== undefined)
  return [
    ofTrend(`${name}: resident memory`, trendOf(points((s) => s.residentMiB)), RESIDENT_MIB_A_MINUTE),
    ofTrend(`${name}: heap`, trendOf(points((s) => s.heapMiB)), HEAP_MIB_A_MINUTE),
    ofGrowth(
      `${name}: open files and sockets`,
      series((s) => s.files),
      MORE_FILES,
      '',
    ),
    ofGrowth(
      `${name}: threads`,
      series((s) => s.threads),
      MORE_THREADS,
      '',
    ),
    ofGrowth(
      `${name}: event-loop delay p99`,
      series((s) => s.loopDelayMs),
      MORE_DELAY_MS,
      ' ms',
    ),
  ]
}

/** A killed process begins anew: only within one life does growth mean anything. */
function longestLife(samples: readonly Sample[]): readonly Sample[] {
  const lives = Map.groupBy(samples, ({ pid }) => pid)
  return [...lives.values()].reduce((longest, life) => (life.length > longest.length ? life : longest), [])
}

/** Empty where it is too short for a slope to mean anything. */
function laterHalf(life: readonly Sample[]): readonly Sample[] {
  const half = life.slice(Math.floor(life.length / 2))
  return half.length > 0 && half.at(-1)!.atMs - half[0]!.atMs >= LEAST_HALF_MS ? half : []
}

function ofTrend(name: string, trend: Trend | undefined, most: number): Criterion {
  const bound = `not above ${most} MiB/min (95 %)`
  if (trend === undefined) return { name, bound, found: 'too few samples', verdict: 'undecided' }
  const { slope, low, high } = trend
  const found = `${slope.toFixed(2)} MiB/min, ${low.toFixed(2)} to ${high.toFixed(2)}`
  // The interval says which of three it is: surely below, surely above, or not enough seen.
  return { name, bound, found, verdict: low > most ? 'FAILED' : high <= most ? 'passed' : 'undecided' }
}

function ofGrowth(name: string, series: readonly number[], more: number, unit: string): Criterion {
  const bound = `median of the last third at most 1.1 times the first + ${more}${unit}`
  if (series.length < LEAST_SAMPLES) return { name, bound, found: 'too few samples', verdict: 'undecided' }
  const third = Math.floor(series.length / 3)
  const [from, to] = [median(series.slice(0, third)), median(series.slice(-third))]
  const found = `${from.toFixed(0)}${unit}, then ${to.toFixed(0)}${unit}`
  return { name, bound, found, verdict: passed(to <= 1.1 * from + more) }
}

/** From when the first records had been there for their retention, half-way to the end, and at the end. */
function ofDisk(disk: readonly DiskSample[], retentionMs: number): Criterion {
  const name = 'disk of the log'
  const bound = `after expiry began, at most 1.25 times + ${MORE_LOG_MIB} MiB`
  const begun = disk.filter(({ atMs }) => atMs > disk[0]!.atMs + 1.2 * retentionMs)
  if (begun.length < LEAST_SAMPLES)
    return { name, bound, found: `${disk.at(-1)?.mib.toFixed(0) ?? 0} MiB`, verdict: 'undecided' }
  const half = Math.floor(begun.length / 2)
  const most = (samples: readonly DiskSample[]) => Math.max(...samples.map(({ mib }) => mib))
  const [from, to] = [most(begun.slice(0, half)), most(begun.slice(half))]
  const found = `${from.toFixed(0)} MiB, then ${to.toFixed(0)} MiB`
  return { name, bound, found, verdict: passed(to <= 1.25 * from + MORE_LOG_MIB) }
}

const passed = (holds: boolean) => (holds ? 'passed' : 'FAILED')

function zero(name: string, count: number): Criterion {
  return { name, found: String(count), bound: '0', verdict: passed(count === 0) }
}

function atLeastOne(name: string, count: number): Criterion {
  return { name, found: String(count), bound: 'some', verdict: passed(count > 0) }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
