import type { Arbitrary } from 'fast-check'

/** One door that input from outside comes through. Inputs are bytes, so that each can be kept in a file and run again. */
export interface FuzzTarget {
  /** Also the beginning of the names of kept inputs. */
  readonly name: string
  readonly summary: string
  /** Opened once per run, in the thread that runs it. */
  open(): Promise<OpenTarget>
  readonly limits: Limits
  /** Inputs of the run in CI. */
  readonly shortRuns: number
}

export interface OpenTarget {
  /** Valid inputs, and those that once did damage; inputs are made by changing them. At least one. */
  readonly corpus: readonly Uint8Array[]
  /** Inputs made by structure, beside those. */
  readonly generated?: Arbitrary<Uint8Array>
  /**
   * Runs one input. Resolves with false where it was refused as it should be: a PlateauError of a code that the door
   * documents, or a documented status. Throws for anything else.
   */
  run(input: Uint8Array): boolean | Promise<boolean>
  close?(): Promise<void>
}

export interface Limits {
  /** Most processor time of one input, ms. One that is not back after 20 times as long by the clock is cut off. */
  readonly inputMs: number
  /** Memory that an input may take, beside 400 bytes for each of its own. */
  readonly memoryMiB: number
  /** Most bytes of an input. */
  readonly inputBytes: number
}
