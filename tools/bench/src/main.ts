#!/usr/bin/env node
/** `npm run bench -- NAME`: prints a table and ends with one line of JSON. */

interface Benchmark {
  readonly summary: string
  run(args: readonly string[]): Promise<object>
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  loop: {
    summary: 'acceptance over time as in the demo, and what capture costs the target (captureRatio)',
    run: async (args) => (await import('./loop.js')).benchLoop(args),
  },
  train: {
    summary: 'training step time against ONNX Runtime’s own MatMul rate (ofMatMulCeiling, tokensPerSecond)',
    run: async () => (await import('./train.js')).benchTrain(),
  },
  score: {
    summary: 'windows and tokens a second through the scorer, from log to log (tokensPerSecond, overTarget)',
    run: async (args) => (await import('./score.js')).benchScore(args),
  },
  'event-log': {
    summary:
      'Kafka adapter over bare kafkajs and Kafka’s own tools (overBareKafkajs); window to scored record and live draft',
    run: async (args) => (await import('./event-log.js')).benchEventLog(args),
  },
  speculate: {
    summary: 'plain against speculative decoding with the draft that the loop reaches (speedup)',
    run: async (args) => (await import('./speculate.js')).benchSpeculate(args),
  },
}

const [name, ...args] = process.argv.slice(2)
const benchmark = name === undefined ? undefined : benchmarks[name]
if (benchmark === undefined) {
  const list = Object.entries(benchmarks).map(([key, { summary }]) => `  ${key.padEnd(10)} ${summary}`)
  process.stderr.write(`npm run bench -- NAME, where NAME is one of\n${list.join('\n')}\n`)
  process.exit(name === undefined || name === '--help' ? 0 : 2)
}
process.env['ORT_DISABLE_TELEMETRY'] = '1'
console.log(JSON.stringify({ bench: name, ...(await benchmark.run(args)) }))
