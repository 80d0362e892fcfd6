import { Arm, TrainingWindow, unpackFloats, unpackTopK, type TokenWindow } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { overlap, seededRandom, type Draft, type DraftSession, type SparseDistribution } from '@plateau/speculation'
import { setImmediate as nextTurn } from 'node:timers/promises'

export interface HeldOutWindowsOptions {
  readonly targetFingerprint: string
  readonly tokenizerHash: string
  readonly hiddenSize: number
  /** The newest so many windows are kept. */
  readonly maxWindows: number
}

/** alpha of one draft at each position of a window. */
export interface WindowAlphas {
  readonly sampleId: string
  readonly tenant: string
  readonly domain: string
  /** One list per draft, all of one length. */
  readonly alphas: readonly (readonly number[])[]
}

/** Positions of one window that are looked at. */
const MAX_POSITIONS = 64

/** The newest windows of the evaluation arm, which no draft is trained on. */
export class HeldOutWindows {
  readonly #options: HeldOutWindowsOptions
  #windows: TokenWindow[] = []

  constructor(options: HeldOutWindowsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#windows.length
  }

  /** Records of the training topic; what cannot be used is the trainer's to complain about. */
  add(records: readonly LogRecord[]): void {
    for (const { value } of records) {
      const window = value === null ? undefined : this.#usable(value)
      if (window !== undefined) this.#windows.push(window)
    }
    this.#windows = this.#windows.slice(-this.#options.maxWindows)
  }

  /**
   * Asks the drafts, as they are loaded for serving, for the next token at every position of the newest windows, up to
   * `maxPositions` in all. Each step is short, and the event loop gets its turn after every one. `signal` ends it early.
   */
  async *compare(drafts: readonly Draft[], maxPositions: number, signal: AbortSignal): AsyncGenerator<WindowAlphas> {
    let left = maxPositions
    for (const window of this.#windows.toReversed()) {
      if (left <= 0 || signal.aborted) return
      const positions = Math.min(left, MAX_POSITIONS, window.tokenIds.length)
      const alphas: number[][] = []
      for (const draft of drafts) alphas.push(await alphasOf(draft, window, positions))
      left -= positions
      yield { sampleId: window.sampleId, tenant: window.tenant, domain: window.domain, alphas }
    }
  }

  #usable(value: Uint8Array): TokenWindow | undefined {
    const { arm, window } = TrainingWindow.decode(value)
    const { targetFingerprint, tokenizerHash, hiddenSize } = this.#options
    if (arm !== Arm.ARM_EVALUATION || window?.provenance === undefined) return undefined
    const { provenance, hasLead, featureSize, top } = window
    const ours = provenance.targetFingerprint === targetFingerprint && provenance.tokenizerHash === tokenizerHash
    return ours && hasLead && featureSize === hiddenSize && top !== undefined ? window : undefined
  }
}

const RAW = { temperature: 0, topK: 0, topP: 1 }

async function alphasOf(draft: Draft, window: TokenWindow, positions: number): Promise<number[]> {
  const { featureSize, featureFormat, tokenIds, leadTokenId } = window
  const rows = unpackFloats(window.features, featureFormat, tokenIds.length * featureSize)
  const lead = unpackFloats(window.leadFeature, featureFormat, featureSize)
  const p = probabilities(window)
  const session = draft.open({ tokens: [leadTokenId], features: lead })
  const alphas: number[] = []
  try {
    for (let i = 0; i < positions; i++) {
      alphas.push(overlapWith(p[i]!, await nextOf(session)))
      session.adopt([tokenIds[i]!], rows.subarray(i * featureSize, (i + 1) * featureSize))
      await nextTurn()
    }
  } finally {
    session.close()
  }
  return alphas
}

/** Raw q of the next token; undefined where the draft has no opinion. Nothing is drawn: temperature 0. */
export async function nextOf(session: DraftSession): Promise<SparseDistribution | undefined> {
  return (await session.propose(1, RAW, seededRandom(0))).rawQ[0]
}

/** Tokens beyond the listed ones count 0: a lower bound, the same for all drafts. */
function overlapWith(p: ReadonlyMap<number, number>, q: SparseDistribution | undefined): number {
  return q === undefined ? 0 : overlap((id) => p.get(id), q)
}

function probabilities({ top }: TokenWindow): ReadonlyMap<number, number>[] {
  const { k, positions, ids } = top!
  const probs = unpackTopK(top!)
  return Array.from(
    { length: positions },
    (_, i) => new Map(ids.slice(i * k, (i + 1) * k).map((id, j) => [id, probs[i * k + j]!])),
  )
}
