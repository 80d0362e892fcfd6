import { mkdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { readDraftTarget, type DraftTargetModel } from '@plateau/model-files'
import { modelsDirectory, resolveModel } from '@plateau/model-hub'
import type { Context, ExitCode } from '../command.js'
import type { TrainOptions } from '../commands/train.js'
import { lockDirectory } from '../export/directory-lock.js'
import { openLog } from '../open-log.js'
import { table } from '../table.js'
import { causalLmPlan } from './causal-lm-plan.js'
import { collect, sourceOf } from './collect.js'
import { draftCard } from './draft-card.js'
import type { DraftPlan } from './draft-plan.js'
import { featureHeadPlan } from './feature-head-plan.js'
import { lineProgress } from './progress.js'
import { keepFacts } from './run-facts.js'
import { trainDraft, WORK, writeDraft, type TrainedDraft } from './train-draft.js'
import { WindowStore } from './window-store.js'

/** `command`: what was typed, for the card. 1: interrupted, and the same command goes on. */
export async function runTraining(context: Context, given: TrainOptions, command: string): Promise<ExitCode> {
  const out = resolve(given.out)
  const work = join(out, WORK)
  await mkdir(work, { recursive: true })
  const lock = lockDirectory(work)
  try {
    return await run(context, given, command, out, work)
  } finally {
    lock.release()
  }
}

async function run(context: Context, given: TrainOptions, command: string, out: string, work: string) {
  const source = await sourceOf(given.data)
  const path = await resolveModel(given.model, { directory: modelsDirectory(context.environment) })
  const target = await readDraftTarget(path)
  await keepFacts(join(work, 'run.json'), out, { ...factsOf(given), target: target.fingerprint })
  const progress = lineProgress((line) => context.say(line), context.now)
  const store = await WindowStore.open(join(work, 'windows'))
  await collect(
    source,
    store,
    {
      ...given,
      model: path,
      description: target,
      work,
      answerTokens: given['answer-tokens'],
      now: context.now,
      signal: context.signal,
      openLog: (url) => (url === undefined ? context.openLog() : openLog(context.environment, url)),
    },
    progress,
  )
  if (context.signal.aborted) return 1 as const
  const plan = planOf(given, target, work)
  try {
    const trained = await trainDraft(plan, store, trainingOptions(context, given, target, out), progress)
    if (trained === undefined) return 1 as const
    await writeDraft(out, [
      ...plan.encode(trained.model),
      ...trained.companions,
      { path: 'README.md', bytes: cardOf(given, target, store, plan, trained, command, out) },
    ])
    context.report(summary(out, trained))
    return 0 as const
  } finally {
    await plan.release()
  }
}

function planOf(given: TrainOptions, target: DraftTargetModel, work: string): DraftPlan<unknown> {
  const { seed, threads = 2 } = given
  return (
    given.draft === 'causal-lm'
      ? causalLmPlan(target, { hiddenSize: given.width, layers: given.layers, threads, seed })
      : featureHeadPlan(target, {
          bilinearFeatures: given.bilinear,
          lambda: given.lambda,
          threads,
          seed,
          sumsFile: join(work, 'sums.safetensors'),
        })
  ) as DraftPlan<unknown>
}

function trainingOptions({ signal }: Context, given: TrainOptions, { config }: DraftTargetModel, out: string) {
  return {
    out,
    vocabulary: given.vocabulary,
    hiddenSize: given.draft === 'causal-lm' ? 0 : config.hiddenSize,
    targetVocabSize: config.vocabSize,
    gradientPositions: given.gradients,
    learningRate: given['learning-rate'],
    loss: given.loss,
    threads: given.threads ?? 2,
    seed: given.seed,
    signal,
  }
}

/** What the saved windows, sums and optimiser state depend on. `--positions` may grow. */
function factsOf(given: TrainOptions) {
  const { data, draft, vocabulary, bilinear, width, layers, gradients, loss, lambda, seed, domain = '' } = given
  const ofKind = draft === 'causal-lm' ? { width, layers } : { bilinear, lambda }
  return { data, draft, vocabulary, gradients, loss, seed, domain, ...ofKind, 'learning-rate': given['learning-rate'] }
}

function cardOf(
  given: TrainOptions,
  target: DraftTargetModel,
  store: WindowStore,
  { kind }: DraftPlan<unknown>,
  trained: TrainedDraft<unknown>,
  command: string,
  out: string,
): string {
  return draftCard(
    basename(out),
    {
      target,
      kind,
      data: given.data,
      licence: given.licence,
      command,
      loss: given.loss,
      gradientPositions: given.gradients,
      positionsByDomain: store.positions,
    },
    trained,
  )
}

function summary(out: string, trained: TrainedDraft<unknown>) {
  const { model: _, companions: __, ...json } = trained
  const rows = trained.figures.map(({ domain, temperature, positions, alpha, greedyMatch }) => [
    domain === '' ? '-' : domain,
    temperature ?? 'all',
    positions,
    Number(alpha.toFixed(4)),
    Number(greedyMatch.toFixed(4)),
  ])
  const lengths = trained.greedy.map(
    ({ domain, acceptanceLength }) => `${domain || 'all'} ${acceptanceLength.toFixed(2)}`,
  )
  return {
    json: { out, ...json },
    text:
      table(['domain', 'temperature', 'positions', 'alpha', 'greedy match'], rows) +
      `acceptance length, greedy, ${trained.gamma} proposals: ${lengths.join(', ') || '-'}\n` +
      `${out}: the draft and its card; ${WORK} in it is only needed to go on\n`,
  }
}
