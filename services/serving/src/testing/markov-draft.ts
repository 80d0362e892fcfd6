import {
  argmax,
  sampleIndex,
  transformLogits,
  type Draft,
  type DraftSession,
  type DraftStart,
  type Proposal,
  type Random,
  type Sampling,
  type SparseDistribution,
} from '@plateau/speculation'
import { HIDDEN, markovLogits } from './markov-target.js'

/** Knows the Markov target perfectly but for every `wrongEvery`-th token, which it gets wrong. Counts its sessions. */
export class MarkovDraft implements Draft {
  readonly version: string
  readonly maxProposal = 4
  readonly #vocabSize: number
  readonly #wrongEvery: number
  open_ = 0
  proposals = 0
  released = false

  constructor(version: string, vocabSize: number, wrongEvery = 5) {
    this.version = version
    this.#vocabSize = vocabSize
    this.#wrongEvery = wrongEvery
  }

  open(start: DraftStart): DraftSession {
    this.open_ += 1
    checkFeatures(start.tokens, start.features)
    let last = start.tokens.at(-1)!
    return {
      propose: async (count, sampling, random) => this.#propose(last, count, sampling, random),
      adopt: (tokens, features) => {
        checkFeatures([last, ...tokens], features)
        last = tokens.at(-1) ?? last
      },
      close: () => {
        this.open_ -= 1
      },
    }
  }

  async release(): Promise<void> {
    if (this.open_ > 0) throw new Error(`released with ${this.open_} sessions open`)
    this.released = true
  }

  #propose(start: number, count: number, sampling: Sampling, random: Random): Proposal {
    this.proposals += 1
    const tokens: number[] = []
    const q: SparseDistribution[] = []
    const rawQ: SparseDistribution[] = []
    for (let last = start; tokens.length < count; last = tokens.at(-1)!) {
      const wrong = (last + this.proposals + tokens.length) % this.#wrongEvery === 0
      const logits = markovLogits(wrong ? last + 1 : last, this.#vocabSize)
      rawQ.push(sparse(transformLogits(logits, { temperature: 1, topK: 0, topP: 1 })))
      const probs = transformLogits(logits, sampling, tokens)
      if (sampling.temperature === 0) {
        tokens.push(argmax(probs))
        continue
      }
      const row = sparse(probs)
      q.push(row)
      tokens.push(row.ids[sampleIndex(row.probs, random())]!)
    }
    return { tokens, q, rawQ }
  }
}

/** Row i must come from the token before tokens[tokens.length - rows + i]. */
function checkFeatures(tokens: readonly number[], features: Float32Array): void {
  const rows = features.length / HIDDEN
  for (let i = 0; i < rows; i++) {
    const source = tokens[tokens.length - rows + i - 1]
    if (features[i * HIDDEN] !== source)
      throw new Error(`feature row ${i} of ${rows} does not come from token ${source}`)
  }
}

/** The 16 most probable tokens, renormalised in single precision as they cross the wire. */
function sparse(probs: Float64Array): SparseDistribution {
  const ids = Array.from(probs.keys())
    .filter((id) => probs[id]! > 1e-9)
    .toSorted((a, b) => probs[b]! - probs[a]!)
    .slice(0, 16)
  const mass = ids.reduce((sum, id) => sum + probs[id]!, 0)
  return { ids, probs: Float32Array.from(ids, (id) => probs[id]! / mass) }
}
