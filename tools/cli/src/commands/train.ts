import { draftLosses } from '@plateau/causal-lm'
import { command } from '../command.js'
import { defaulted, oneOf, required, text, value, wholeNumber, type OptionValues } from '../option.js'

const options = {
  data: required(
    'SOURCE',
    'topic, embedded:DIR, kafka:HOST:PORT, a Parquet export, or prompts (.json, .jsonl, .txt)',
    text,
  ),
  model: required('NAME|PATH', 'the target: a name such as smollm2, a Hugging Face directory or a GGUF file', text),
  out: required('DIR', 'where the draft goes; a run that was interrupted goes on there', text),
  draft: defaulted('KIND', 'feature-head or causal-lm', oneOf('feature-head', 'causal-lm'), 'feature-head'),
  positions: defaulted('N', 'positions to collect', wholeNumber(1), '150000'),
  vocabulary: defaulted('N', "the target's tokens that the draft can propose; 0 = all", wholeNumber(0), '8192'),
  bilinear: defaulted('N', 'feature-head: bilinear features', wholeNumber(0), '1024'),
  width: defaulted('N', 'causal-lm: hidden size', wholeNumber(16), '256'),
  layers: defaulted('N', 'causal-lm: layers', wholeNumber(1), '2'),
  gradients: defaulted('N', 'positions that gradient steps go over; 0 = closed form only', wholeNumber(0), '500000'),
  loss: defaulted('LOSS', 'tv, kl or lk-hybrid', oneOf(...draftLosses), 'lk-hybrid'),
  'learning-rate': defaulted('X', 'its peak', positive, '0.001'),
  lambda: defaulted('X', 'regularisation of the closed form', positive, '30'),
  domain: value('NAME', 'topic and export: only windows with this label; prompts: the label of all', text),
  temperatures: defaulted('LIST', 'of answers to prompts, in turn', temperatureList, '1,0.7,1,0'),
  'answer-tokens': defaulted('N', 'longest answer', wholeNumber(16), '256'),
  sequences: defaulted('N', 'answers decoded at once', wholeNumber(1), '8'),
  threads: value('N', 'of the arithmetic; default: the target measures, training takes 2', wholeNumber(1)),
  seed: defaulted('N', 'of everything that is drawn', wholeNumber(0), '1'),
  licence: defaulted('ID', "of the card: what the data's licences allow", text, 'other'),
}

export type TrainOptions = OptionValues<typeof options>

export const train = command({
  name: 'train',
  summary: 'make a first draft for a target from a recording or from prompts, offline',
  details: `
SOURCE is what the draft learns from. A recorded topic (training-windows) has all that is needed. Prompts
are answered by the target first: entries are texts, or objects with text and perhaps id, domain and
split (train, evaluation). A Parquet export of scored-tokens has neither the target's states nor its
distributions, and no prompts: the target scores the exported tokens again, without the text before them.
Stages: windows, closed form, gradients, figures on held-out answers. All are saved under DIR/work; the
same command goes on after an interruption or kill -9. DIR then holds the draft as a checkpoint does,
what a trainer needs to go on from it, and README.md, its card. Exit code 1 when it was interrupted.`,
  options,
  run: async (context, given) => {
    // Imported late: help and mistakes need no compute engine.
    const { runTraining } = await import('../train/run-training.js')
    return runTraining(context, given, commandLine(given))
  },
})

/** As it would be typed, without what stands at its default: for the draft's card. */
function commandLine(given: TrainOptions): string {
  const words = Object.entries(options).flatMap(([name, { defaultText }]) => {
    const chosen = (given as Readonly<Record<string, string | number | readonly number[] | undefined>>)[name]
    return chosen === undefined || String(chosen) === defaultText ? [] : [`--${name} ${String(chosen)}`]
  })
  return ['plateau train', ...words].join(' ')
}

function positive(given: string): number {
  const number = Number(given)
  if (!(number > 0 && Number.isFinite(number))) throw new TypeError('a number above 0')
  return number
}

function temperatureList(given: string): number[] {
  const numbers = given.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (numbers.some((number) => !(number >= 0 && number <= 2))) throw new TypeError('numbers from 0 to 2 with commas')
  return numbers
}
