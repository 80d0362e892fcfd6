import { Cluster, demoDomains, failures, parseOptions, readPrompts, runDemo, TargetClient } from '@plateau/demo'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { demoModel } from './demo-model.js'

/** Acceptance over time as in the demo, then what capture costs the target alone. Takes the demo's options. */
export async function benchLoop(args: readonly string[]): Promise<object> {
  const options = parseOptions(args)
  if (!options) throw new TypeError('bench loop takes the options of the demo; see npm run demo -- --help')
  const report = await runDemo({ ...options, plain: true }, process.stdout)
  const captureRatio = await measureCapture(demoModel, options.quick ? 8 : 32)
  console.log(`\ntarget tokens/s with capture over without: ${captureRatio.ratio.toFixed(3)}`)
  return { captureRatio: captureRatio.ratio, capture: captureRatio, problems: failures(report), ...report }
}

/**
 * The same prompts with and without consent to capture, in turn, against a target-model of its own: its decoding, its
 * queue and its publisher are all in that process, so this is the whole cost to a request.
 */
async function measureCapture(model: string, prompts: number) {
  const directory = await mkdtemp(join(tmpdir(), 'plateau-capture-'))
  const cluster = await Cluster.start({ directory, model, services: ['target-model'] })
  const target = await TargetClient.connect(cluster.targetAddress, model)
  const texts = readPrompts(model, demoDomains[0]).prompts.slice(0, prompts)
  const seconds = { on: 0, off: 0 }
  const tokens = { on: 0, off: 0 }
  try {
    for (const [i, text] of texts.entries()) {
      for (const side of i % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const)) {
        const startMs = performance.now()
        const sample = side === 'on' ? { sampleId: `bench-${i}` } : {}
        const ids = target.tokenizer.encode(text)
        tokens[side] += await target.generate(ids, { maxTokens: 128, temperature: 1, seed: i + 1, ...sample })
        // The first pair warms both sides up.
        if (i > 0) seconds[side] += (performance.now() - startMs) / 1000
        else tokens[side] = 0
      }
    }
  } finally {
    target.close()
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
  const on = tokens.on / seconds.on
  const off = tokens.off / seconds.off
  return { ratio: on / off, tokensPerSecondOn: on, tokensPerSecondOff: off, pairs: texts.length - 1 }
}
