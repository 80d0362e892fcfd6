import { decoderOutputs } from '@plateau/causal-lm'
import { freeOutput, type HostTensor } from './host-tensor.js'
import type { Chunk } from './pending-step.js'
import type { BatchMember, BatchPlace } from './step-batch.js'
import type { StepRows } from './step-rows.js'

/**
 * Stores the new keys and values of a run, passing over places that were left while it ran, and returns every member's
 * part of what it says.
 */
export function receiveAnswer(
  outputs: Readonly<Record<string, HostTensor>>,
  elapsedUs: number,
  { arena, first, width }: BatchPlace,
  members: readonly BatchMember[],
): StepRows[] {
  const newPast = outputs[decoderOutputs.newPast]!.data as Float32Array
  const rows = new RowReader(outputs, elapsedUs)
  const parts = members.map(({ step: { place }, chunk }) => {
    if (place.arena === arena) arena.append(place, newPast, place.slot - first, width, chunk.to - chunk.from)
    return rows.next(chunk)
  })
  freeOutput(outputs[decoderOutputs.newPast]!)
  return parts
}

/** Cuts the engine's outputs into members' parts, first to last. Parts are views. */
class RowReader {
  readonly #elapsedUs: number
  readonly #topK: number
  readonly #topIds: Int32Array
  readonly #floats: (name: string) => Float32Array
  readonly #hiddenSize: number
  readonly #candidates: number
  #row = 0
  #tempered = 0
  #feature = 0

  constructor(outputs: Readonly<Record<string, HostTensor>>, elapsedUs: number) {
    this.#elapsedUs = elapsedUs
    this.#floats = (name) => outputs[name]!.data as Float32Array
    this.#topIds = outputs[decoderOutputs.topIds]!.data as Int32Array
    this.#topK = outputs[decoderOutputs.topIds]!.dims[1]!
    this.#hiddenSize = outputs[decoderOutputs.hidden]!.dims[1]!
    this.#candidates = outputs[decoderOutputs.candidateLogits]!.dims[1]!
  }

  next({ to, firstRow, firstFeature, temperatures, candidates }: Chunk): StepRows {
    const row = this.#row
    const feature = this.#feature
    const count = to - firstRow
    this.#row += count
    this.#feature += to - firstFeature
    const part = <A extends Float32Array | Int32Array>(data: A, width: number) =>
      data.subarray(row * width, (row + count) * width) as A
    const floats = (name: string, width: number) => part(this.#floats(name), width)
    const stats = floats(decoderOutputs.stats, 3)
    const column = (index: number) => Float32Array.from({ length: count }, (_, i) => stats[i * 3 + index]!)
    const logSumExp = column(0)
    const atCandidates = this.#floats(decoderOutputs.candidateLogits)
    return {
      count,
      topK: count === 0 ? 0 : this.#topK,
      topIds: part(this.#topIds, this.#topK),
      topLogits: floats(decoderOutputs.topLogits, this.#topK),
      logSumExp,
      sumSquares: column(1),
      entropy: column(2),
      scaledLogSumExp: this.#scaled(logSumExp, temperatures),
      hidden: floats(decoderOutputs.hidden, this.#hiddenSize),
      candidateLogits: candidates.flatMap((ids, i) => {
        const at = (row + i) * this.#candidates
        return ids ? [atCandidates.subarray(at, at + ids.length)] : []
      }),
      features: this.#floats(decoderOutputs.features).subarray(
        feature * this.#hiddenSize,
        this.#feature * this.#hiddenSize,
      ),
      elapsedUs: this.#elapsedUs,
    }
  }

  #scaled(logSumExp: Float32Array, temperatures: readonly number[]): Float32Array {
    const tempered = this.#floats(decoderOutputs.tempered)
    return logSumExp.map((value, i) => (temperatures[i] === 1 ? value : tempered[this.#tempered++]!))
  }
}
