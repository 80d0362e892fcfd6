import { messageOf } from '@plateau/contracts'
import fc, { type Arbitrary } from 'fast-check'
import { getHeapStatistics } from 'node:v8'
import type { FuzzTarget, OpenTarget } from './fuzz-target.js'
import { mutationsOf } from './mutations.js'

export interface Failure {
  readonly input: Uint8Array
  readonly problem: string
}

export interface Findings {
  readonly runs: number
  /** Inputs that were refused as they should be. */
  readonly refused: number
  readonly slowestMs: number
  readonly mostMemoryMiB: number
  /** Smallest input found for it; undefined when all was well. */
  readonly failure: Failure | undefined
}

export interface FindOptions {
  readonly seed: number
  readonly runs: number
  /** Told before each input runs, so that whoever watches this thread has it when it does not come back. */
  readonly starting: (input: Uint8Array) => void
}

const BYTES_PER_INPUT_BYTE = 400
const MIB = 2 ** 20

/** So many inputs, the same for the same seed; ends at the first failure, with the smallest input that still fails. */
export async function findFailure(target: FuzzTarget, opened: OpenTarget, options: FindOptions): Promise<Findings> {
  const seen = { runs: 0, refused: 0, slowestMs: 0, mostMemory: 0 }
  const property = fc.asyncProperty(inputsOf(target, opened), async (input) => {
    seen.runs++
    const { ms, memory, isRefused } = await runInput(target, opened, input, options.starting)
    if (isRefused) seen.refused++
    seen.slowestMs = Math.max(seen.slowestMs, ms)
    seen.mostMemory = Math.max(seen.mostMemory, memory)
  })
  const { seed, runs } = options
  const unfit = await unfitCorpus(target, opened, options)
  if (unfit !== undefined) return { runs: 0, refused: 0, slowestMs: 0, mostMemoryMiB: 0, failure: unfit }
  const found = await fc.check(property, { seed, numRuns: runs, maxSkipsPerRun: 1 })
  const { runs: ran, refused, slowestMs, mostMemory } = seen
  const input = found.counterexample?.[0]
  const failure = input === undefined ? undefined : { input, problem: problemOf(found.errorInstance) }
  return { runs: ran, refused, slowestMs, mostMemoryMiB: mostMemory / MIB, failure }
}

/** What is changed must be good to begin with: else everything would be refused at its first byte, and nothing be tested. */
async function unfitCorpus(
  target: FuzzTarget,
  opened: OpenTarget,
  { starting }: FindOptions,
): Promise<Failure | undefined> {
  let taken = 0
  for (const input of opened.corpus) {
    try {
      if (!(await runInput(target, opened, input, starting)).isRefused) taken++
    } catch (error) {
      return { input, problem: problemOf(error) }
    }
  }
  return taken > 0 ? undefined : { input: opened.corpus[0]!, problem: 'every input to begin with is refused' }
}

/** Throws when the input breaks a promise: an undocumented error, or more time or memory than it may take. */
export async function runInput(
  { limits }: FuzzTarget,
  opened: OpenTarget,
  input: Uint8Array,
  starting: (input: Uint8Array) => void,
): Promise<{ readonly ms: number; readonly memory: number; readonly isRefused: boolean }> {
  starting(input)
  const before = held()
  const beganMs = cpuMs()
  const isRefused = !(await opened.run(input))
  const ms = cpuMs() - beganMs
  // Without a collection in between this is what was allocated; with one it is less, and never too much.
  const memory = Math.max(0, held() - before)
  if (ms > limits.inputMs) throw new Error(`took ${ms.toFixed(0)} ms of processor time, may take ${limits.inputMs}`)
  const most = limits.memoryMiB * MIB + BYTES_PER_INPUT_BYTE * input.length
  if (memory > most) throw new Error(`took ${(memory / MIB).toFixed(0)} MiB, may take ${(most / MIB).toFixed(0)}`)
  return { ms, memory, isRefused }
}

function inputsOf({ limits }: FuzzTarget, { corpus, generated }: OpenTarget): Arbitrary<Uint8Array> {
  const bytes = fc.uint8Array({ maxLength: 200 })
  const all = [
    { arbitrary: mutationsOf(corpus), weight: 6 },
    ...(generated === undefined ? [] : [{ arbitrary: generated, weight: 4 }]),
    { arbitrary: bytes, weight: 1 },
  ]
  return fc.oneof(...all).filter((input) => input.length <= limits.inputBytes)
}

function held(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
  return heap + external
}

/** Of this thread: a busy machine does not make an input slow. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Error and place, on one line: what makes one defect another. */
export function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error)
  const place = /\n\s+at (?:.*\()?(?:file:\/\/)?([^()\n]*?):(\d+):\d+\)?/.exec(error.stack ?? '')
  const where =
    place === null
      ? ''
      : ` (${place[1]!.replace(/^.*\/plateau\/|^.*?\/(?=libs|services|tools|node_modules)/, '')}:${place[2]})`
  return `${error.name}: ${error.message.split('\n')[0]!.slice(0, 300)}${where}`
}
