/**
 * Our training step and PyTorch's, eager and compiled, on the same weights, batch, optimiser and number of threads:
 * blocks of steps in turn, so that the machine's drift falls on all alike. First some steps each from the same weights:
 * when their losses part, the models are not the same, and no time is given.
 */
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BenchError, progress } from './bench-error.js'
import { preparePyTorch } from './pytorch-environment.js'
import { PyTorchChild } from './pytorch-child.js'
import { median } from './statistics.js'
import type { TrainWorkload } from './train-workloads.js'
import { writeTwin } from './twin-files.js'

export interface VsPyTorchOptions {
  /** Given: an interpreter that has PyTorch; otherwise one is prepared. */
  readonly python: string | undefined
  readonly threads: number
  readonly rounds: number
  readonly stepsPerTurn: number
}

export interface VsPyTorch {
  /** PyTorch's time over ours, the better of eager and compiled: above 1, ours is faster. */
  readonly overPyTorch: number
  readonly oursMs: number
  readonly eagerMs: number
  /** Why not, where it could not be compiled. */
  readonly compiledMs: number | string
  /** Largest relative difference of losses over the first steps. */
  readonly lossDifference: number
}

const CHECKED_STEPS = 10
/** float32 sums in another order, carried through ten optimiser steps. */
const LOSS_TOLERANCE = 1e-3

export async function compareWithPyTorch(
  workloads: Readonly<Record<string, TrainWorkload>>,
  options: VsPyTorchOptions,
): Promise<{ results: Record<string, VsPyTorch>; versions: string }> {
  const python = options.python ?? (await preparePyTorch())
  const { child, ...versions } = await PyTorchChild.start(python, options.threads)
  const folder = mkdtempSync(join(tmpdir(), 'plateau-train-'))
  try {
    const results: Record<string, VsPyTorch> = {}
    for (const [id, workload] of Object.entries(workloads)) {
      const own = join(folder, id)
      mkdirSync(own)
      writeTwin(own, workload.twin)
      results[id] = await compareOne(child, id, own, workload, options)
    }
    return { results, versions: `PyTorch ${versions.torch}, Python ${versions.python}` }
  } finally {
    child.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Contestant {
  readonly times: number[]
  /** Milliseconds and loss of each of so many steps. */
  steps(count: number): Promise<{ readonly millis: readonly number[]; readonly losses: readonly number[] }>
}

async function compareOne(
  child: PyTorchChild,
  id: string,
  folder: string,
  workload: TrainWorkload,
  options: VsPyTorchOptions,
): Promise<VsPyTorch> {
  const ours: Contestant = { times: [], steps: (count) => ourSteps(workload, count) }
  const [eagerId, compiledId] = [`${id} eager`, `${id} compiled`]
  const eager: Contestant = { times: [], steps: (count) => child.steps(eagerId, count) }
  const compiled: Contestant = { times: [], steps: (count) => child.steps(compiledId, count) }
  progress(`${workload.name}: the first ${CHECKED_STEPS} steps of each, compared`)
  const expected = (await ours.steps(CHECKED_STEPS)).losses
  await child.open(eagerId, folder, false)
  let lossDifference = difference(expected, (await eager.steps(CHECKED_STEPS)).losses)
  let whyNot: string | undefined
  try {
    progress(`${workload.name}: torch.compile`)
    await child.open(compiledId, folder, true)
    lossDifference = Math.max(lossDifference, difference(expected, (await compiled.steps(CHECKED_STEPS)).losses))
  } catch (error) {
    if (!(error instanceof BenchError)) throw error
    whyNot = `not compiled (${error.message})`
    progress(`  ${whyNot}`)
  }
  if (!(lossDifference < LOSS_TOLERANCE)) {
    throw new BenchError(`${workload.name}: losses differ from PyTorch's by ${lossDifference.toExponential(1)}`)
  }
  await takeTurns(whyNot === undefined ? [ours, eager, compiled] : [ours, eager], options, workload.name)
  const [oursMs, eagerMs, compiledMs] = [ours, eager, compiled].map(({ times }) => median(times)) as [
    number,
    number,
    number,
  ]
  const best = whyNot === undefined ? Math.min(eagerMs, compiledMs) : eagerMs
  return { overPyTorch: best / oursMs, oursMs, eagerMs, compiledMs: whyNot ?? compiledMs, lossDifference }
}

/** Who begins moves on from round to round. A turn's first step finds cold caches and is not counted. */
async function takeTurns(contestants: readonly Contestant[], options: VsPyTorchOptions, name: string): Promise<void> {
  for (let round = 0; round < options.rounds; round++) {
    if (round % 5 === 0) progress(`${name}: round ${round + 1} of ${options.rounds}`)
    for (const [i] of contestants.entries()) {
      const contestant = contestants[(round + i) % contestants.length]!
      const { millis } = await contestant.steps(options.stepsPerTurn + 1)
      contestant.times.push(...millis.slice(1))
    }
  }
}

async function ourSteps(workload: TrainWorkload, count: number) {
  const millis: number[] = []
  const losses: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    losses.push(await workload.step())
    millis.push(performance.now() - began)
  }
  return { millis, losses }
}

function difference(expected: readonly number[], found: readonly number[]): number {
  return Math.max(...expected.map((loss, i) => Math.abs(loss - found[i]!) / Math.abs(loss)))
}
