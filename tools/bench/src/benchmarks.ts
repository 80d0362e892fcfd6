export interface Benchmark {
  readonly summary: string
  help(): Promise<string>
  run(args: readonly string[]): Promise<object>
}

const noOptions = (name: string, options: string) => async (): Promise<string> =>
  `npm run bench -- ${name} ${options}\n`

/** Loaded when they are asked for: some need what others do not. */
export const benchmarks: Readonly<Record<string, Benchmark>> = {
  loop: {
    summary: 'acceptance over time as in the demo, and what capture costs the target (captureRatio)',
    help: noOptions('loop', "[the demo's options: npm run demo -- --help]"),
    run: async (args) => (await import('./loop.js')).benchLoop(args),
  },
  train: {
    summary: 'training step time against the engine’s own MatMul (ofMatMulCeiling) or PyTorch (overPyTorch)',
    help: async () => (await import('./train.js')).trainHelp,
    run: async (args) => (await import('./train.js')).benchTrain(args),
  },
  score: {
    summary: 'windows and tokens a second through the scorer, from log to log (tokensPerSecond, overTarget)',
    help: noOptions('score', '[--windows N] [--model DIR] [--target-rate TOKENS_PER_SECOND]'),
    run: async (args) => (await import('./score.js')).benchScore(args),
  },
  'event-log': {
    summary:
      'Kafka adapter over bare kafkajs and Kafka’s own tools (overBareKafkajs); window to scored record and live draft',
    help: noOptions('event-log', '[--records N] [--rounds N] [--seconds N]'),
    run: async (args) => (await import('./event-log.js')).benchEventLog(args),
  },
  decode: {
    summary: 'a real model without speculation, beside llama.cpp on the same file (overLlamaCpp, overBandwidth)',
    help: async () => (await import('./decode.js')).decodeHelp,
    run: async (args) => (await import('./decode.js')).benchDecode(args),
  },
  formats: {
    summary: 'weight formats of a real model: bytes, step time over reading them once, KL from f32 (formats)',
    help: async () => (await import('./formats.js')).formatsHelp,
    run: async (args) => (await import('./formats.js')).benchFormats(args),
  },
  speculate: {
    summary: 'plain against speculative decoding with the draft that the loop reaches (speedup; --target: overPlain)',
    help: async () => (await import('./speculate.js')).speculateHelp,
    run: async (args) => (await import('./speculate.js')).benchSpeculate(args),
  },
  acceptance: {
    summary: 'tokens and seconds of live traffic from an untrained draft to acceptance lengths (toLength)',
    help: async () => (await import('./acceptance.js')).acceptanceHelp,
    run: async (args) => (await import('./acceptance.js')).benchAcceptance(args),
  },
  swap: {
    summary: 'drafts that take each other’s place under load: time between tokens, failures, memory (gapP99Ratio)',
    help: async () => (await import('./swap/swap.js')).swapHelp,
    run: async (args) => (await import('./swap/swap.js')).benchSwap(args),
  },
  rollback: {
    summary:
      'requests that a bad draft serves until it is off traffic, and good ones thrown out (rollback, falseRollbacks)',
    help: async () => (await import('./rollback/rollback.js')).rollbackHelp,
    run: async (args) => (await import('./rollback/rollback.js')).benchRollback(args),
  },
  serve: {
    summary:
      'what 1, 4 and 16 streaming clients get, plain and speculative (overPlain), and what 64 do to it (overload)',
    help: async () => (await import('./serve/serve.js')).serveHelp,
    run: async (args) => (await import('./serve/serve.js')).benchServe(args),
  },
  selection: {
    summary: 'drafts trained on what selectors keep, against random at matched tokens (learnedMinusRandom)',
    help: async () => (await import('./selection/selection.js')).selectionHelp,
    run: async (args) => (await import('./selection/selection.js')).benchSelection(args),
  },
}

export function overview(): string {
  const list = Object.entries(benchmarks).map(([key, { summary }]) => `  ${key.padEnd(10)} ${summary}`)
  return `npm run bench -- NAME [--help], where NAME is one of\n${list.join('\n')}\n`
}
