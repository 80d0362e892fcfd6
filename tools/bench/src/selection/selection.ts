import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BenchError, progress, wholeNumber } from '../bench-error.js'
import { describeMachine } from '../machine.js'
import { datasetNames, openDataset, type Dataset, type DatasetName } from './dataset.js'
import type { Experiment } from './experiment.js'
import { ResultsFile, resultsHeader } from './results-file.js'
import { writeSets } from './sets.js'

export const selectionHelp = `npm run bench -- selection [options]

Which training data a draft should see: selectors of samples and tokens on responses of two targets, recorded once, under
three kinds of draft. Each arm is a line of docs/selection/results, written when it is done; arms that are there are not run
again, so a run that was stopped goes on. Ends by writing docs/selection.md from all results that are there.

  --target LIST      ${datasetNames.join(', ')} (default: both)
  --experiment LIST  closed-form, online, sets, gradients, gradients-late, causal-lm (default: all)
  --threads N        of an experiment's arithmetic (default 1: two experiments can run beside each other)
  --results DIR      (default docs/selection/results)
  --quick            a few small arms, to see that everything works; give another --results
  --summary          run nothing, only write the page from the results
  --help             this text
`

const repository = fileURLToPath(new URL('../../../../', import.meta.url))

const experiments: Readonly<Record<string, () => Promise<Experiment>>> = {
  'closed-form': async () => (await import('./closed-form.js')).runClosedForm,
  online: async () => (await import('./online.js')).runOnline,
  gradients: async () => (await import('./gradients.js')).runGradients,
  'gradients-late': async () => (await import('./gradients.js')).runLateGradients,
  'causal-lm': async () => (await import('./causal-lm.js')).runCausalLm,
}
const SETS = 'sets'

export async function benchSelection(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string', default: datasetNames.join(',') },
      experiment: { type: 'string', default: [...Object.keys(experiments), SETS].join(',') },
      threads: { type: 'string', default: '1' },
      results: { type: 'string', default: join(repository, 'docs', 'selection', 'results') },
      quick: { type: 'boolean', default: false },
      summary: { type: 'boolean', default: false },
    },
  })
  const directory = values.results
  if (!values.summary) {
    const targets = listed('target', values.target, datasetNames) as readonly DatasetName[]
    const wanted = listed('experiment', values.experiment, [...Object.keys(experiments), SETS])
    const threads = wholeNumber('threads', values.threads)
    await mkdir(directory, { recursive: true })
    for (const target of targets) {
      const dataset = await openDataset(target, { threads, say: progress })
      for (const name of wanted) await runExperiment(name, dataset, { ...values, directory, threads })
    }
  }
  return (await import('./report/summarise.js')).summarise(directory, { docs: join(repository, 'docs') })
}

async function runExperiment(
  name: string,
  dataset: Dataset,
  { directory, threads, quick }: { readonly directory: string; readonly threads: number; readonly quick: boolean },
): Promise<void> {
  if (name === SETS) return writeSets(join(directory, `sets-${dataset.name}.json`), dataset, threads)
  const header = resultsHeader(dataset, describeMachine())
  const results = await ResultsFile.open(join(directory, `${name}-${dataset.name}.jsonl`), header)
  const run = await experiments[name]!()
  await run(dataset, { results, threads, quick, say: progress })
}

function listed(option: string, text: string, known: readonly string[]): readonly string[] {
  const names = text.split(',')
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return names
  throw new BenchError(`--${option} is a list of ${known.join(', ')}, not "${unknown}"`, { exitCode: 2 })
}
