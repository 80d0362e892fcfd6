import { encodeHeaders, FloatFormat, packFloats, packTopK, TokenWindow, topics } from '@plateau/contracts'
import type { EventLog, NewRecord } from '@plateau/event-log'

/** The demo target's shape. */
export const streamShape = { vocabSize: 4096, k: 64, featureSize: 256, leastPositions: 64, mostPositions: 128 } as const

const BODIES = 64
const BATCH = 128

/** Appends `count` windows like the demo target's to the log, each of a sample of its own. Returns their tokens. */
export async function fillWithWindows(log: EventLog, count: number): Promise<number> {
  const random = mulberry32(1)
  // Drawing a window costs more than scoring it: some bodies are used again under other sample ids.
  const bodies = Array.from({ length: Math.min(BODIES, count) }, () => drawWindow(random))
  const producer = log.producer()
  let tokens = 0
  for (let start = 0; start < count; start += BATCH) {
    const records: NewRecord[] = []
    for (let i = start; i < Math.min(count, start + BATCH); i++) {
      const window = { ...bodies[i % bodies.length]!, sampleId: `bench-${i}` }
      tokens += window.tokenIds.length
      records.push(recordOf(window))
    }
    await producer.send(topics.tokenDistributions.name, records)
  }
  await producer.close()
  return tokens
}

function recordOf(window: TokenWindow): NewRecord {
  return {
    key: window.sampleId,
    value: TokenWindow.encode(window).finish(),
    headers: encodeHeaders({
      id: `window:${window.sampleId}:0`,
      source: '/plateau/bench',
      type: topics.tokenDistributions.messageType,
      timeMs: window.capturedAtMs,
    }),
  }
}

/** Rows of a power law whose exponent differs by position: peaked ones, flat ones, and what lies between. */
function drawWindow(random: () => number): TokenWindow {
  const { vocabSize, k, featureSize, leastPositions, mostPositions } = streamShape
  const n = leastPositions + Math.floor(random() * (mostPositions - leastPositions + 1))
  const whole = (below: number): number => Math.floor(random() * below)
  const rows = Array.from({ length: n }, () => powerLaw(vocabSize, 0.6 + 2.4 * random()))
  const each = (value: (p: Float64Array) => number): number[] => rows.map(value)
  return TokenWindow.fromPartial({
    provenance: { schemaVersion: 1, targetFingerprint: 'bench', tokenizerHash: 'bench', draftVersion: '1' },
    last: true,
    capturedAtMs: Date.now(),
    vocabSize,
    tokenIds: each(() => whole(vocabSize)),
    top: packTopK(
      Array.from({ length: n * k }, () => whole(vocabSize)),
      rows.flatMap((p) => [...p.subarray(0, k)]),
      k,
      FloatFormat.FLOAT_FORMAT_FP16,
    ),
    tailMass: each((p) => p.subarray(k).reduce((sum, x) => sum + x, 0)),
    sumSquares: each((p) => p.reduce((sum, x) => sum + x * x, 0)),
    entropy: each((p) => p.reduce((sum, x) => sum - x * Math.log(x), 0)),
    logSumExp: each(() => 8 + 4 * random()),
    tokenLogProb: each((p) => Math.log(p[whole(k)]!)),
    draftOverlap: each(() => (random() < 0.2 ? Number.NaN : random())),
    features: packFloats(
      Array.from({ length: n * featureSize }, () => 2 * random() - 1),
      FloatFormat.FLOAT_FORMAT_FP16,
    ),
    featureSize,
    featureFormat: FloatFormat.FLOAT_FORMAT_FP16,
    hasLead: true,
    leadTokenId: whole(vocabSize),
    leadFeature: packFloats(new Float32Array(featureSize), FloatFormat.FLOAT_FORMAT_FP16),
  })
}

function powerLaw(size: number, exponent: number): Float64Array {
  const p = Float64Array.from({ length: size }, (_, rank) => (rank + 1) ** -exponent)
  const sum = p.reduce((a, b) => a + b)
  return p.map((x) => x / sum)
}

/** Seeded numbers in [0, 1): every run scores the same stream. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
