import { FloatFormat, packFloats, packTopK, type TokenWindow } from '@plateau/contracts'
import type { DraftSignals } from '@plateau/speculation'
import type { ScoredRow } from './scored-row.js'

/** One emitted token and the raw distribution it was drawn from. */
export interface CapturedPosition {
  readonly token: number
  readonly row: ScoredRow
  readonly tokenLogProb: number
  /** Where a draft proposed; undefined where none did. */
  readonly signals?: DraftSignals | undefined
}

/** The position before the first captured one: the prompt's last token and the hidden state that it came from. */
export interface Lead {
  readonly token: number
  readonly feature: Float32Array | undefined
}

export interface WindowOrigin {
  readonly targetFingerprint: string
  readonly tokenizerHash: string
  readonly draftVersion: string
  readonly sampleId: string
  readonly tenant: string
  readonly domain: string
  readonly vocabSize: number
}

export interface WindowOptions {
  /** Longest window. */
  readonly positions: number
  readonly clock: () => number
}

/** Most positions whose record stays below `maxBytes`, by the widest encoding of every field. */
export function positionsThatFit(k: number, featureSize: number, maxBytes: number): number {
  // An id takes at most 5 bytes, a probability 2; a position has its own id and eight numbers of 4 bytes; beside them the
  // record names its sample, tenant and makers and holds the lead feature.
  const perPosition = 7 * k + 2 * featureSize + 5 + 8 * 4
  return Math.max(1, Math.floor((maxBytes - 4096 - 2 * featureSize) / perPosition))
}

const SCHEMA_VERSION = 1
const { FLOAT_FORMAT_FP16: FP16 } = FloatFormat

/** Cuts one response into windows of raw distributions, handing each to `emit` as soon as it is known to be complete. */
export class WindowBuilder {
  readonly #origin: WindowOrigin
  readonly #options: WindowOptions
  readonly #emit: (window: TokenWindow) => void
  #lead: Lead
  #positions: CapturedPosition[] = []
  #windows = 0
  #start = 0

  constructor(origin: WindowOrigin, lead: Lead, options: WindowOptions, emit: (window: TokenWindow) => void) {
    this.#origin = origin
    this.#lead = lead
    this.#options = options
    this.#emit = emit
  }

  /** A full window waits for one position more: only then is it known not to be the last. */
  add(position: CapturedPosition): void {
    if (this.#positions.length === this.#options.positions) this.#flush(false)
    this.#positions.push(position)
  }

  /** The response has ended, by itself or because the client left. */
  end(): void {
    if (this.#positions.length > 0) this.#flush(true)
  }

  #flush(last: boolean): void {
    const positions = this.#positions
    this.#emit(
      packWindow(this.#origin, this.#lead, positions, this.#options.clock(), {
        index: this.#windows++,
        start: this.#start,
        last,
      }),
    )
    const newest = positions.at(-1)!
    this.#lead = { token: newest.token, feature: newest.row.feature }
    this.#start += positions.length
    this.#positions = []
  }
}

export function packWindow(
  origin: WindowOrigin,
  lead: Lead,
  positions: readonly CapturedPosition[],
  nowMs: number,
  place: { readonly index: number; readonly start: number; readonly last: boolean },
): TokenWindow {
  const k = positions[0]!.row.topIds.length
  const featureSize = positions[0]!.row.feature.length
  const ids = new Uint32Array(positions.length * k)
  const probs = new Float32Array(positions.length * k)
  const features = new Float32Array(positions.length * featureSize)
  const tailMass = positions.map(({ row }, i) => {
    let listed = 0
    for (let j = 0; j < k; j++) {
      ids[i * k + j] = row.topIds[j]!
      const p = Math.exp(row.topLogits[j]! - row.logSumExp)
      probs[i * k + j] = p
      listed += p
    }
    features.set(row.feature, i * featureSize)
    return Math.max(0, 1 - listed)
  })
  const drafted = positions.some(({ signals }) => signals !== undefined)
  const ofDraft = (name: keyof DraftSignals): number[] =>
    drafted ? positions.map(({ signals }) => signals?.[name] ?? Number.NaN) : []
  return {
    provenance: {
      schemaVersion: SCHEMA_VERSION,
      targetFingerprint: origin.targetFingerprint,
      tokenizerHash: origin.tokenizerHash,
      draftVersion: drafted ? origin.draftVersion : '',
    },
    sampleId: origin.sampleId,
    windowIndex: place.index,
    startPosition: place.start,
    last: place.last,
    tenant: origin.tenant,
    domain: origin.domain,
    capturedAtMs: nowMs,
    vocabSize: origin.vocabSize,
    tokenIds: positions.map(({ token }) => token),
    top: packTopK(ids, probs, k, FP16),
    tailMass,
    sumSquares: positions.map(({ row }) => row.sumSquares),
    entropy: positions.map(({ row }) => row.entropy),
    logSumExp: positions.map(({ row }) => row.logSumExp),
    tokenLogProb: positions.map(({ tokenLogProb }) => tokenLogProb),
    draftOverlap: ofDraft('overlap'),
    draftGain: ofDraft('gain'),
    draftEntropy: ofDraft('entropy'),
    features: packFloats(features, FP16),
    featureSize,
    featureFormat: FP16,
    hasLead: lead.feature !== undefined,
    leadTokenId: lead.feature === undefined ? 0 : lead.token,
    leadFeature: lead.feature === undefined ? Buffer.alloc(0) : packFloats(lead.feature, FP16),
  }
}
