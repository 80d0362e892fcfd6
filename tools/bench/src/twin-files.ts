import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A training workload as pytorch/train_steps.py reads it. */
export interface TwinWorkload {
  readonly kind: 'causal-lm' | 'feature-head'
  readonly loss: 'kl' | 'tv'
  readonly sequences: number
  readonly positions: number
  readonly layers: number
  readonly headDim: number
  readonly eps: number
  readonly ropeTheta: number
  readonly adamw: {
    readonly learningRate: number
    readonly warmUpSteps: number
    readonly betas: readonly [number, number]
    readonly epsilon: number
    readonly weightDecay: number
    /** Of each group by itself. */
    readonly maxGradientNorm: number
    /** `rate`: a group's share of the learning rate. */
    readonly groups: readonly { readonly names: readonly string[]; readonly rate: number }[]
  }
  readonly trained: ReadonlyMap<string, TwinTensor>
  readonly fixed: ReadonlyMap<string, TwinTensor>
}

export interface TwinTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array | BigInt64Array
}

/** workload.json and tensors.bin; a tensor is listed as [name, type, shape, byte offset], at a multiple of 64. */
export function writeTwin(folder: string, { trained, fixed, ...rest }: TwinWorkload): void {
  const pieces: Buffer[] = []
  let offset = 0
  const place = ([name, { shape, data }]: [string, TwinTensor]) => {
    const at = offset
    const padding = -data.byteLength & 63
    pieces.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength), Buffer.alloc(padding))
    offset += data.byteLength + padding
    return [name, data instanceof Float32Array ? 'f32' : 'i64', shape, at]
  }
  const workload = { ...rest, trained: [...trained].map(place), fixed: [...fixed].map(place) }
  writeFileSync(join(folder, 'tensors.bin'), Buffer.concat(pieces))
  writeFileSync(join(folder, 'workload.json'), JSON.stringify(workload))
}
