import { decoderInputs, scoringTail } from '@plateau/causal-lm'
import { float32, int32, loadSession } from '@plateau/inference'
import { GraphBuilder } from '@plateau/tensor-graph'
import { median } from './statistics.js'

const repeats = 30

/** Milliseconds of the tail alone on `rows` rows of logits at temperature 1, as it is at the end of every step. */
export async function scoringTailMs(rows: number, vocabSize: number, threads: number): Promise<number> {
  const graph = new GraphBuilder()
  scoringTail(graph, graph.input('logits', 'f32', ['R', vocabSize]), 64)
  const session = await loadSession(graph.encode(), { name: 'scoring tail', threads })
  const logits = Float32Array.from({ length: rows * vocabSize }, (_, i) => 8 * Math.sin(i * 12.9898))
  const feeds = {
    logits: float32(logits, [rows, vocabSize]),
    [decoderInputs.temperedRows]: int32(new Int32Array(0), [0]),
    [decoderInputs.temperature]: float32(new Float32Array(0), [0, 1]),
    [decoderInputs.candidates]: int32(new Int32Array(rows), [rows, 1]),
  }
  try {
    const times: number[] = []
    for (let i = 0; i < repeats; i++) times.push((await session.timedRun(feeds)).elapsedUs / 1000)
    return median(times)
  } finally {
    await session.release()
  }
}
