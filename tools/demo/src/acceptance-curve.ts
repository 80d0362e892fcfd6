import { join } from 'node:path'
import type { FeatureHead } from '@plateau/causal-lm'
import { versionPath } from '@plateau/checkpoints'
import { FeatureHeadScorer, prepareDraftTarget, summarizeScores, windowRows, type DraftRows } from '@plateau/inference'
import { readDraftTarget, readFeatureHead } from '@plateau/model-files'
import type { CapturedWindow } from './observer.js'

export interface CurveOptions {
  /** The phase's captured windows, in order of time. */
  readonly windows: readonly CapturedWindow[]
  readonly live: readonly { readonly version: string; readonly atMs: number }[]
  /** The control: live when the phase began, and not trained since. */
  readonly frozenVersion: string
  readonly lineage: string
  readonly checkpoints: string
  readonly model: string
  readonly buckets: number
  readonly positionsPerBucket: number
}

export interface CurvePoint {
  readonly atMs: number
  readonly version: string
  readonly alpha: number
  readonly frozenAlpha: number
  readonly positions: number
}

export interface AcceptanceCurve {
  readonly points: readonly CurvePoint[]
  readonly start: CurvePoint
  readonly worst: CurvePoint
  /** The last fifth of the phase. */
  readonly end: { readonly alpha: number; readonly frozenAlpha: number }
}

/**
 * Alpha over a phase: each stretch of time is judged by the draft that was live then, on windows captured then. That
 * draft had not been trained on them, as training comes after capture. The frozen draft is judged on the same windows.
 * Alpha counts the target's listed tokens only: a lower bound, the same for both.
 */
export async function acceptanceCurve(options: CurveOptions): Promise<AcceptanceCurve> {
  const model = await readDraftTarget(options.model)
  const expected = {
    targetFingerprint: model.fingerprint,
    tokenizerHash: model.tokenizerHash,
    vocabSize: model.config.vocabSize,
    norm: model.target.norm,
  }
  const judge = new Judge(options, model.target)
  const points: CurvePoint[] = []
  try {
    for (const bucket of bucketsOf(options)) {
      const rows = bucket.windows.map(({ window }) => windowRows(window, expected))
      const [live, frozen] = [await judge.alpha(bucket.version, rows), await judge.alpha(options.frozenVersion, rows)]
      points.push({ ...live, version: bucket.version, atMs: bucket.atMs, frozenAlpha: frozen.alpha })
    }
  } finally {
    await judge.release()
  }
  const first = points[0]
  if (!first) throw new Error('no window was captured in this phase: there is nothing to judge drafts on')
  const tail = points.slice(-Math.max(1, Math.round(points.length / 5)))
  return {
    points,
    start: first,
    worst: points.reduce((low, point) => (point.alpha < low.alpha ? point : low)),
    end: { alpha: mean(tail.map((p) => p.alpha)), frozenAlpha: mean(tail.map((p) => p.frozenAlpha)) },
  }
}

interface Bucket {
  readonly atMs: number
  readonly version: string
  readonly windows: CapturedWindow[]
}

/** Equal stretches of time, each with some of its windows, spread evenly, all under the version live when it began. */
function bucketsOf({ windows, live, frozenVersion, buckets, positionsPerBucket }: CurveOptions): Bucket[] {
  const fromMs = windows[0]?.atMs ?? 0
  const spanMs = (windows.at(-1)?.atMs ?? 0) - fromMs + 1
  return Array.from({ length: buckets }, (_, i) => {
    const startMs = fromMs + (i * spanMs) / buckets
    const within = windows.filter((w) => w.atMs >= startMs && w.atMs < startMs + spanMs / buckets)
    const positions = within.reduce((sum, w) => sum + w.window.tokenIds.length, 0)
    const stride = Math.max(1, Math.floor(positions / positionsPerBucket))
    return {
      atMs: startMs + spanMs / buckets / 2,
      version: live.findLast((entry) => entry.atMs <= startMs)?.version ?? frozenVersion,
      windows: within.filter((_w, j) => j % stride === 0),
    }
  }).filter((bucket) => bucket.windows.length > 0)
}

/** Loads versions as they are asked for; one scorer per shape of head. */
class Judge {
  readonly #heads = new Map<string, FeatureHead>()
  readonly #scorers = new Map<string, FeatureHeadScorer>()

  constructor(
    private readonly options: CurveOptions,
    private readonly target: Parameters<typeof prepareDraftTarget>[0],
  ) {}

  async alpha(version: string, rows: readonly DraftRows[]): Promise<{ alpha: number; positions: number }> {
    const head = await this.#head(version)
    return summarizeScores(await (await this.#scorer(head)).score(head, rows))
  }

  async release(): Promise<void> {
    await Promise.all([...this.#scorers.values()].map((scorer) => scorer.release()))
  }

  async #head(version: string): Promise<FeatureHead> {
    const folder = join(this.options.checkpoints, versionPath(this.options.lineage, Number(version)))
    const head = this.#heads.get(version) ?? (await readFeatureHead(folder))
    this.#heads.set(version, head)
    return head
  }

  async #scorer({ config }: FeatureHead): Promise<FeatureHeadScorer> {
    const key = JSON.stringify(config)
    const known = this.#scorers.get(key)
    if (known) return known
    const target = prepareDraftTarget(this.target, config)
    const scorer = await FeatureHeadScorer.create(config, target, { threads: 2, listedTokens: 64 })
    this.#scorers.set(key, scorer)
    return scorer
  }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
