/**
 * Trains one of the demo models. Time-based: the learning rate reaches zero when `--minutes` are over, however fast the
 * machine is. Killed, it continues from the last save; told to stop (SIGTERM, SIGINT), it writes what it has.
 *
 *     node tools/demo-models/dist/train.js --preset tiny --out models/tiny-target
 */
import { buildTrainGraph, initialParameters, parameterShapes, type CausalLmConfig } from '@plateau/causal-lm'
import { loadSession, type InferenceSession } from '@plateau/inference'
import { floatTensor, toFloats, writeModelDirectory } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import {
  AdamW,
  cosineDecay,
  evaluateLanguageModel,
  linearWarmUp,
  stackLayers,
  trainLanguageModel,
  type StepReport,
} from '@plateau/training'
import { rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { loadCorpus, modelsFolder, type Corpus } from './corpus.js'
import { modelCard } from './model-card.js'
import { heldOutBatches, trainingBatches } from './training-data.js'
import { presets, type PresetName, type TrainingPreset } from './training-presets.js'
import { loadProgress, saveProgress, type TrainingProgress } from './training-progress-file.js'

const seed = 20_260_118
const msPerMinute = 60_000
const saveEveryMs = 4 * msPerMinute
const reportEveryMs = 20_000
const quickEvaluationBatches = 4
const finalEvaluationBatches = 24

const { preset: presetName, minutes, out, threads } = readArguments()
const preset = presets[presetName]
const progressFile = join(modelsFolder, '..', '.plateau', 'training', `${basename(out)}.bin`)
const corpus = loadCorpus()

let stopAsked = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => (stopAsked = true))

const finished = await train(loadProgress(progressFile) ?? fresh(preset))
await writeModel(finished)
rmSync(progressFile, { force: true })

function fresh({ config, stages }: TrainingPreset): TrainingProgress {
  const layers = stages[0]?.layers ?? config.layers
  // The spread of residual projections is the final depth's.
  const initial = initialParameters(config, seededRandom(seed))
  const names = [...parameterShapes({ ...config, layers }).keys()]
  const parameters = new Map(names.map((name) => [name, initial.get(name)!.data]))
  const zeros = new Map(names.map((name) => [name, new Float32Array(initial.get(name)!.data.length)]))
  return {
    layers,
    elapsedMs: 0,
    tokens: 0,
    optimizer: { steps: 0, parameters, firstMoments: zeros, secondMoments: zeros },
  }
}

async function train(start: TrainingProgress): Promise<TrainingProgress> {
  let progress = start
  for (const stage of preset.stages) {
    if (stage.layers < progress.layers || stopAsked) continue
    if (stage.layers > progress.layers) progress = deepen(progress, stage.layers)
    progress = await trainStage(progress, stage.until)
  }
  return progress
}

function deepen(progress: TrainingProgress, layers: number): TrainingProgress {
  const config = { ...preset.config, layers: progress.layers }
  return { ...progress, layers, optimizer: stackLayers(progress.optimizer, config, layers) }
}

/** Trains at one depth until the share `until` of the time is over. */
async function trainStage(start: TrainingProgress, until: number): Promise<TrainingProgress> {
  const config = { ...preset.config, layers: start.layers }
  const engine = await loadEngine(config, true)
  const evaluator = await loadEngine(config, false)
  const optimizer = new AdamW(parameterShapes(config))
  optimizer.load(start.optimizer)

  const began = performance.now()
  const elapsedMs = () => start.elapsedMs + performance.now() - began
  const share = () => elapsedMs() / (minutes * msPerMinute)
  const tokensPerStep = preset.sequences * preset.positions
  let tokens = start.tokens
  const here = (): TrainingProgress => ({
    layers: config.layers,
    elapsedMs: elapsedMs(),
    tokens,
    optimizer: optimizer.state,
  })
  const report = progressReporter(config.layers, elapsedMs)
  let savedAt = began

  console.log(`stage: ${config.layers} layers until ${(until * minutes).toFixed(1)} min`)
  await trainLanguageModel({
    config,
    engine,
    optimizer,
    nextBatch: trainingBatches(corpus, preset, seededRandom(seed + start.optimizer.steps)),
    learningRate: (step) =>
      stopAsked || share() >= until
        ? undefined
        : preset.peakLearningRate * linearWarmUp(step, preset.warmUpSteps) * cosineDecay(share()),
    onStep: async (step) => {
      tokens += tokensPerStep
      report(step, tokens)
      if (performance.now() - savedAt < saveEveryMs) return
      saveProgress(progressFile, here())
      console.log(
        `  held out: ${describe(await evaluate(config, evaluator, optimizer.state.parameters, quickEvaluationBatches))}`,
      )
      savedAt = performance.now()
    },
  })

  const end = here()
  await engine.release()
  await evaluator.release()
  return end
}

async function writeModel({ layers, optimizer, elapsedMs, tokens }: TrainingProgress): Promise<void> {
  const config = { ...preset.config, layers }
  // Measured on the numbers that the file will hold.
  const rounded = new Map(
    [...parameterShapes(config)].map(([name, shape]) => {
      const data = toFloats(floatTensor(shape, optimizer.parameters.get(name)!, 'F16'))
      return [name, { shape, data }] as const
    }),
  )
  const evaluator = await loadEngine(config, false)
  const arrays = new Map([...rounded].map(([name, { data }]) => [name, data]))
  const heldOut = await evaluate(config, evaluator, arrays, finalEvaluationBatches)
  await evaluator.release()
  console.log(`done: ${optimizer.steps} steps, ${tokens} tokens; held out: ${describe(heldOut)}`)

  const tokenizerFrom = join(modelsFolder, 'demo-target')
  const copied = resolve(out) === tokenizerFrom ? {} : { tokenizerFrom }
  await writeModelDirectory(out, config, rounded, 'F16', copied)
  const measured = finalEvaluationBatches * preset.sequences * preset.positions
  const card = modelCard(
    basename(out),
    { ...preset, config },
    {
      preset: presetName,
      minutes: elapsedMs / msPerMinute,
      steps: optimizer.steps,
      tokens,
      trainTokens: corpus.domains.reduce((sum, domain) => sum + domain.train.length, 0),
      heldOut: heldOut.map((entry) => ({ ...entry, tokens: measured })),
    },
  )
  writeFileSync(join(out, 'README.md'), card)
}

async function loadEngine(config: CausalLmConfig, gradients: boolean): Promise<InferenceSession> {
  const shape = { sequences: preset.sequences, positions: preset.positions, targetsPerRow: 1 }
  const { model } = buildTrainGraph(config, shape, { gradients })
  return loadSession(model, { name: `${basename(out)} ${gradients ? 'training' : 'evaluation'}`, threads })
}

async function evaluate(
  config: CausalLmConfig,
  evaluator: InferenceSession,
  parameters: ReadonlyMap<string, Float32Array>,
  batchCount: number,
): Promise<{ domain: Corpus['domains'][number]['name']; loss: number }[]> {
  const losses = []
  for (const domain of corpus.domains) {
    const batches = heldOutBatches(domain, preset, batchCount)
    losses.push({ domain: domain.name, loss: await evaluateLanguageModel(config, evaluator, parameters, batches) })
  }
  return losses
}

/** A line now and then: mean loss and speed since the last one, and what is left. */
function progressReporter(layers: number, elapsedMs: () => number): (step: StepReport, tokens: number) => void {
  let since = { at: performance.now(), steps: 0, losses: 0 }
  return ({ step, loss, learningRate, gradientNorm, skipped }, tokens) => {
    since.steps++
    since.losses += loss
    const seconds = (performance.now() - since.at) / 1000
    if (seconds * 1000 < reportEveryMs) return
    const speed = (since.steps * preset.sequences * preset.positions) / seconds
    const leftMinutes = minutes - elapsedMs() / msPerMinute
    console.log(
      `${layers} layers, step ${step}, loss ${(since.losses / since.steps).toFixed(3)}, rate ${learningRate.toExponential(1)}, ` +
        `gradient ${gradientNorm.toFixed(2)}, skipped ${skipped}, ${(tokens / 1e6).toFixed(2)} M tokens, ` +
        `${speed.toFixed(0)} tokens/s, ${leftMinutes.toFixed(1)} min left`,
    )
    since = { at: performance.now(), steps: 0, losses: 0 }
  }
}

function describe(losses: readonly { readonly domain: string; readonly loss: number }[]): string {
  return losses.map(({ domain, loss }) => `${domain} ${loss.toFixed(3)}`).join(', ')
}

function readArguments(): { preset: PresetName; minutes: number; out: string; threads: number } {
  const { values } = parseArgs({
    options: {
      preset: { type: 'string', default: 'tiny' },
      minutes: { type: 'string' },
      out: { type: 'string' },
      threads: { type: 'string', default: '2' },
    },
  })
  if (!(values.preset in presets)) throw new RangeError(`--preset is one of ${Object.keys(presets).join(', ')}`)
  if (values.out === undefined)
    throw new RangeError('--out says which directory to write, for example models/tiny-target')
  const name = values.preset as PresetName
  const [wantedMinutes, threadCount] = [Number(values.minutes ?? presets[name].minutes), Number(values.threads)]
  if (!(wantedMinutes > 0)) throw new RangeError(`--minutes must be positive, not ${values.minutes}`)
  return { preset: name, minutes: wantedMinutes, out: values.out, threads: threadCount }
}
