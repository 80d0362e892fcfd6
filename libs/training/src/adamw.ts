/**
 * AdamW over all parameters of a model, in one WebAssembly memory: the engine reads the parameters there in place, and a
 * step of 14 million parameters takes some 12 ms. src/adamw-reference.ts is the plain version.
 */
import { adamwKernelBase64 } from './adamw-kernel.js'
import { defaultAdamWOptions, type AdamWOptions } from './adamw-reference.js'

export interface OptimizerStep {
  /** Before clipping. */
  readonly gradientNorm: number
  /** false: the gradient was not finite, and nothing changed. */
  readonly applied: boolean
}

/** Everything to continue from: parameters and both moments by name, and the number of steps applied. */
export interface OptimizerState {
  readonly steps: number
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly firstMoments: ReadonlyMap<string, Float32Array>
  readonly secondMoments: ReadonlyMap<string, Float32Array>
}

interface Kernel {
  sumOfSquares(values: number, count: number): number
  adamw(
    w: number,
    m: number,
    v: number,
    g: number,
    count: number,
    beta1: number,
    gain1: number,
    beta2: number,
    gain2: number,
    rate: number,
    epsilon: number,
    decay: number,
  ): void
}

interface WasmMemory {
  readonly buffer: ArrayBuffer
}

/** What we use of the global: Node has it, its type declarations do not. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: { initial: number }) => WasmMemory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: { env: { memory: WasmMemory } }) => { readonly exports: unknown }
}

interface Slot {
  readonly name: string
  readonly count: number
  readonly decays: boolean
  /** Byte addresses. */
  readonly w: number
  readonly m: number
  readonly v: number
  readonly g: number
}

const pageBytes = 65_536
/** Addresses begin after the first page: 0 stays invalid. */
const firstAddress = pageBytes

export class AdamW {
  readonly #options: AdamWOptions
  readonly #memory: WasmMemory
  readonly #kernel: Kernel
  readonly #slots: readonly Slot[]
  #steps = 0
  /** Of the gradients received last. */
  #gradientNorm = 0

  /** Parameters and moments start at zero: `load` a state, or fill `state.parameters`. */
  constructor(shapes: ReadonlyMap<string, readonly number[]>, options: Partial<AdamWOptions> = {}) {
    this.#options = { ...defaultAdamWOptions, ...options }
    const { slots, bytes } = layOut(shapes)
    this.#slots = slots
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / pageBytes) })
    const module = new WebAssembly.Module(Buffer.from(adamwKernelBase64, 'base64'))
    const instance = new WebAssembly.Instance(module, { env: { memory: this.#memory } })
    this.#kernel = instance.exports as Kernel
  }

  /** Views of the live arrays: they change with every step. Copy what must stay. */
  get state(): OptimizerState {
    const views = (place: (slot: Slot) => number) =>
      new Map(this.#slots.map((slot) => [slot.name, this.#view(place(slot), slot.count)]))
    return {
      steps: this.#steps,
      parameters: views((slot) => slot.w),
      firstMoments: views((slot) => slot.m),
      secondMoments: views((slot) => slot.v),
    }
  }

  /**
   * Where gradients lie: written here (by an engine that can), they need no copy. Views of the live arrays, overwritten by
   * the next `receive` of others.
   */
  get gradients(): Map<string, Float32Array> {
    return new Map(this.#slots.map((slot) => [slot.name, this.#view(slot.g, slot.count)]))
  }

  /** Copies a state in. Every parameter must be there in its full length. */
  load(state: OptimizerState): void {
    for (const slot of this.#slots) {
      this.#copyIn(slot, slot.w, state.parameters)
      this.#copyIn(slot, slot.m, state.firstMoments)
      this.#copyIn(slot, slot.v, state.secondMoments)
    }
    this.#steps = state.steps
  }

  /** Starts from fresh parameters: moments zero, no steps. */
  loadParameters(parameters: ReadonlyMap<string, Float32Array>): void {
    for (const slot of this.#slots) {
      this.#copyIn(slot, slot.w, parameters)
      this.#view(slot.m, slot.count).fill(0)
      this.#view(slot.v, slot.count).fill(0)
    }
    this.#steps = 0
  }

  /** `receive`, then `apply` unless the gradient is not finite. */
  step(gradients: ReadonlyMap<string, Float32Array>, learningRate: number): OptimizerStep {
    const gradientNorm = this.receive(gradients)
    const applied = Number.isFinite(gradientNorm)
    if (applied) this.apply(learningRate)
    return { gradientNorm, applied }
  }

  /** Takes gradients in, copying what is not in `gradients` already, and returns their norm. Nothing moves: who has several optimisers judges all norms first. */
  receive(gradients: ReadonlyMap<string, Float32Array>): number {
    let sum = 0
    for (const slot of this.#slots) {
      this.#copyIn(slot, slot.g, gradients)
      sum += this.#kernel.sumOfSquares(slot.g, slot.count)
    }
    this.#gradientNorm = Math.sqrt(sum)
    return this.#gradientNorm
  }

  /** One step along the gradients received last. */
  apply(learningRate: number): void {
    this.#steps++
    const { beta1, beta2, epsilon, weightDecay, maxGradientNorm } = this.#options
    const clip = Math.min(1, maxGradientNorm / this.#gradientNorm)
    // m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon), with both corrections moved into rate and epsilon.
    const rootCorrection = Math.sqrt(1 - beta2 ** this.#steps)
    const rate = (learningRate * rootCorrection) / (1 - beta1 ** this.#steps)
    const gain1 = clip * (1 - beta1)
    const gain2 = clip * clip * (1 - beta2)
    for (const { w, m, v, g, count, decays } of this.#slots) {
      const decay = decays ? 1 - learningRate * weightDecay : 1
      this.#kernel.adamw(w, m, v, g, count, beta1, gain1, beta2, gain2, rate, epsilon * rootCorrection, decay)
    }
  }

  #view(address: number, count: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#memory.buffer, address, count)
  }

  #copyIn(slot: Slot, address: number, values: ReadonlyMap<string, Float32Array>): void {
    const found = values.get(slot.name)
    if (found?.length !== slot.count) {
      throw new RangeError(`${slot.name} needs ${slot.count} values, got ${found?.length ?? 'none'}`)
    }
    if (found.buffer === this.#memory.buffer && found.byteOffset === address) return
    this.#view(address, slot.count).set(found)
  }
}

/** Each array begins at a multiple of 64 bytes, a cache line. */
function layOut(shapes: ReadonlyMap<string, readonly number[]>): { slots: Slot[]; bytes: number } {
  let next = firstAddress
  const place = (count: number): number => {
    const address = next
    next += Math.ceil(count / 16) * 64
    return address
  }
  const slots = [...shapes].map(([name, shape]) => {
    const count = shape.reduce((product, length) => product * length, 1)
    const decays = shape.length > 1
    return { name, count, decays, w: place(count), m: place(count), v: place(count), g: place(count) }
  })
  return { slots, bytes: next }
}
