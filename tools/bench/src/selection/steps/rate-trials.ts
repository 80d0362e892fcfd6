import type { DraftLoss } from '@plateau/causal-lm'
import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { RateTrial } from './learning-rate.js'

/** Sweeps of one experiment on one target, kept beside its results. Those of another number of steps do not count. */
export class RateTrials {
  readonly #path: string
  readonly #steps: number
  readonly #trials: RateTrial[]

  private constructor(path: string, steps: number, trials: RateTrial[]) {
    this.#path = path
    this.#steps = steps
    this.#trials = trials
  }

  static async beside(results: string, { steps }: { readonly steps: number }): Promise<RateTrials> {
    const path = join(dirname(results), 'learning-rates', basename(results))
    await mkdir(dirname(path), { recursive: true })
    const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').slice(0, -1)
    return new RateTrials(
      path,
      steps,
      lines.map((line) => JSON.parse(line) as RateTrial),
    )
  }

  of(loss: DraftLoss): RateTrial[] {
    return this.#trials.filter((trial) => trial.loss === loss && trial.steps === this.#steps)
  }

  async add(trial: RateTrial): Promise<void> {
    await appendFile(this.#path, `${JSON.stringify(trial)}\n`)
    this.#trials.push(trial)
  }
}
