import type { Findings } from './find-failures.js'

export type Job =
  | { readonly kind: 'find'; readonly seed: number; readonly runs: number }
  | { readonly kind: 'replay'; readonly input: Uint8Array }

export interface Message {
  readonly kind: 'done'
  readonly findings: Findings
}

const MOST_BYTES = 4 * 2 ** 20
/** Two words before the input: how many have begun, and the length of this one. */
const WORDS = 2

export function sharedMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * WORDS + MOST_BYTES)
}

/** In the thread: notes which input begins. */
export function shareInput(shared: SharedArrayBuffer): (input: Uint8Array) => void {
  const words = new Int32Array(shared, 0, WORDS)
  const bytes = new Uint8Array(shared, 4 * WORDS)
  return (input) => {
    const kept = input.subarray(0, bytes.length)
    bytes.set(kept)
    Atomics.store(words, 1, kept.length)
    Atomics.add(words, 0, 1)
  }
}

/** Outside: how many inputs have begun. */
export function inputsBegun(shared: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(shared, 0, WORDS), 0)
}

/** Outside: the input that began last. */
export function lastInput(shared: SharedArrayBuffer): Uint8Array {
  const length = Atomics.load(new Int32Array(shared, 0, WORDS), 1)
  return Uint8Array.from(new Uint8Array(shared, 4 * WORDS, length))
}
