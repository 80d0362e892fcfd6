import type { BuiltFeatureHead } from './built-feature-head.js'
import type { HostTensor } from './host-tensor.js'
import type { OutputHeadLease, OutputHeads } from './output-heads.js'
import { loadSession, type InferenceSession } from './session.js'

/** What runs a head's step, in one session or two: one run of it gives all of the step's outputs. */
export interface HeadEngine {
  run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>>
  /** Waits for the runs already asked for. */
  release(): Promise<void>
}

/** @param outputs where the output head stands apart */
export async function loadHeadEngine(
  { model, output }: BuiltFeatureHead,
  outputs: OutputHeads | undefined,
  options: { readonly threads: number; readonly name: string },
): Promise<HeadEngine> {
  if (output === undefined) return loadSession(model, { ...options, optimise: false })
  if (outputs === undefined) throw new RangeError(`${options.name} was built without its output head`)
  const lease = await outputs.lease(output, options.threads)
  try {
    return new SplitHead(await loadSession(model, { ...options, optimise: false }), lease)
  } catch (error) {
    await lease.release()
    throw error
  }
}

class SplitHead implements HeadEngine {
  readonly #trunk: InferenceSession
  readonly #output: OutputHeadLease

  constructor(trunk: InferenceSession, output: OutputHeadLease) {
    this.#trunk = trunk
    this.#output = output
  }

  async run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>> {
    const { scaled, ...outputs } = await this.#trunk.run(feeds)
    return { ...outputs, ...(await this.#output.session.run({ scaled: scaled! })) }
  }

  async release(): Promise<void> {
    await this.#trunk.release()
    await this.#output.release()
  }
}
