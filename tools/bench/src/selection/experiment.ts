import type { Dataset } from './dataset.js'
import type { ResultsFile } from './results-file.js'

export interface ExperimentRun {
  /** Arms that are in it are done. */
  readonly results: ResultsFile
  readonly threads: number
  /** Few, small arms, to see that everything works. */
  readonly quick: boolean
  readonly say: (line: string) => void
}

/** Runs the arms that are missing, the most telling first, and writes each as it is done. */
export type Experiment = (dataset: Dataset, run: ExperimentRun) => Promise<void>

/** Says after each arm how long the rest takes, at the pace of this run. */
export function armProgress(total: number, now: () => number, say: (line: string) => void) {
  const started = now()
  let done = 0
  return (what: string): void => {
    done++
    const left = ((now() - started) / done) * (total - done)
    say(`  ${done} of ${total}, ${Math.ceil(left / 1000)} s left: ${what}`)
  }
}
