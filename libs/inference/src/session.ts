/**
 * The only door to onnxruntime-node.
 *
 * What callers may rely on, as onnxruntime-node 1.30 behaves (session.test.ts holds it to this):
 * - Inputs are read in place, never copied: change a typed array between runs and the next run sees it. Do not change
 *   one during a run. Arrays on a SharedArrayBuffer are refused by the engine.
 * - Every output is a fresh array that belongs to the caller.
 * - `run` waits for one turn of the event loop and then blocks it until the engine is done: keep one run short.
 * - Ending the process, or a worker, while another thread is inside a run aborts the process: await `release()` first.
 */
import { messageOf, PlateauError } from '@plateau/contracts'
import { GraphBuilder } from '@plateau/tensor-graph'
import { cpus } from 'node:os'
import { basename } from 'node:path'
import type { InferenceSession as OrtSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { float32, freeOutput, type ElementType, type HostTensor } from './host-tensor.js'

type Engine = typeof import('onnxruntime-node')

type Feeds = Readonly<Record<string, HostTensor>>

export interface SessionOptions {
  /** Threads one run may use. Between runs they always sleep: otherwise they would take the cores from other sessions. */
  readonly threads: number
  /** What the model is, for error messages. */
  readonly name: string
  /**
   * How the threads of one run wait for each other. Spinning (the default) is much faster for graphs of many small nodes
   * but takes a whole core while it waits, so choose sleep for a process that runs beside others at low priority.
   */
  readonly wait?: 'spin' | 'sleep'
  /** What runs the graph; cpu (the default) takes over what another provider lacks. The engine's CUDA libraries are not ours. */
  readonly provider?: ExecutionProvider
  /** Default true. False for graphs that gain nothing by it, where loading should be short: it takes a fifth to a half less. */
  readonly optimise?: boolean
}

export type ExecutionProvider = 'cpu' | 'cuda'

/**
 * Checks and optimises the model, given as bytes, which are not needed afterwards, or as the path of its file: external
 * data is looked for beside it and mapped into memory.
 */
export async function loadSession(model: Uint8Array | string, options: SessionOptions): Promise<InferenceSession> {
  const { threads, name } = options
  if (!Number.isInteger(threads) || threads < 1) throw new RangeError(`threads must be at least 1, not ${threads}`)
  const engine = await loadEngine()
  try {
    const session = await engine.InferenceSession.create(model as Uint8Array, {
      ...common,
      executionProviders: options.provider === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
      intraOpNumThreads: threads,
      graphOptimizationLevel: options.optimise === false ? 'disabled' : 'all',
      extra: {
        session: { force_spinning_stop: '1', intra_op: { allow_spinning: options.wait === 'sleep' ? '0' : '1' } },
      },
    })
    return new InferenceSession(engine, session, name)
  } catch (cause) {
    if (options.provider === 'cuda' && /cuda/i.test(messageOf(cause))) throw noCuda(name, cause)
    throw notLoadable(model, name, cause)
  }
}

function noCuda(name: string, cause: unknown): PlateauError {
  return new PlateauError(
    'EXECUTION_PROVIDER_UNAVAILABLE',
    `The model "${name}" was to run on CUDA, and the engine could not start it: ${messageOf(cause)}. It needs ` +
      "onnxruntime-node's CUDA libraries, the CUDA runtime with cuDNN, and a GPU; choose the provider cpu to go without.",
    { facts: { model: name, provider: 'cuda' }, cause },
  )
}

/**
 * Writes a model, given as the path of its file, as the engine holds it once it is loaded, with the layouts that its
 * kernels multiply by. All tensors lie in `dataFile`, beside the model.
 */
export async function exportPackedModel(model: string, to: string, dataFile: string): Promise<void> {
  const engine = await loadEngine()
  try {
    const session = await engine.InferenceSession.create(model, {
      ...common,
      optimizedModelFilePath: to,
      extra: {
        session: {
          optimized_model_external_initializers_file_name: dataFile,
          optimized_model_external_initializers_min_size_in_bytes: '0',
          save_external_prepacked_constant_initializers: '1',
        },
      },
    })
    await session.release()
  } catch (cause) {
    throw notLoadable(model, basename(model), cause)
  }
}

/**
 * Loads the engine and lets it run once: some tens of milliseconds, which the first model need not take then. Also what a
 * process does before a worker opens a session: see loadEngine.
 */
export async function warmEngine(): Promise<void> {
  const graph = new GraphBuilder()
  graph.output('y', graph.op('Relu', [graph.input('x', 'f32', ['n'])]), 'f32', ['n'])
  const session = await loadSession(graph.encode(), { threads: 1, name: 'first run' })
  await session.run({ x: float32(new Float32Array(1)) })
  await session.release()
}

/** What a saved layout depends on: it is no use to another version, and seldom to another processor. */
export async function engineSignature(): Promise<string> {
  const { env } = await loadEngine()
  return `onnxruntime ${env.versions.node ?? env.versions.common}, ${process.arch}, ${cpus()[0]?.model ?? 'unknown'}`
}

const common = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  // Its errors arrive as exceptions; on stderr they would be said twice.
  logSeverityLevel: 4,
} as const

function notLoadable(model: Uint8Array | string, name: string, cause: unknown): PlateauError {
  return new PlateauError('MODEL_NOT_LOADABLE', `The engine refused the model "${name}": ${messageOf(cause)}`, {
    facts: { model: name, ...(typeof model === 'string' ? { path: model } : { bytes: model.byteLength }) },
    cause,
  })
}

export interface InputInfo {
  readonly name: string
  readonly type: string
  /** Names stand for sizes that may differ from run to run. */
  readonly dims: readonly (number | string)[]
}

/** One loaded model. Runs of one session happen one after the other, in the order they were asked for. */
export class InferenceSession {
  readonly name: string
  readonly inputNames: readonly string[]
  readonly inputs: readonly InputInfo[]
  readonly outputNames: readonly string[]
  readonly #engine: Engine
  readonly #session: OrtSession
  /** A tensor object that is fed again (a weight, a cache) is converted once. */
  readonly #converted = new WeakMap<HostTensor, OrtTensor>()
  #tail: Promise<unknown> = Promise.resolve()
  #released: Promise<void> | undefined

  /** Use `loadSession`. */
  constructor(engine: Engine, session: OrtSession, name: string) {
    this.#engine = engine
    this.#session = session
    this.name = name
    this.inputNames = session.inputNames
    this.inputs = session.inputMetadata.flatMap((input) =>
      input.isTensor ? [{ name: input.name, type: input.type, dims: input.shape }] : [],
    )
    this.outputNames = session.outputNames
  }

  /** All outputs, or those in `fetches`: what is not fetched is not copied out (it may still be computed). */
  async run(feeds: Feeds, fetches?: readonly string[]): Promise<Record<string, HostTensor>> {
    return (await this.timedRun(feeds, fetches)).outputs
  }

  /**
   * All outputs; those named in `into` are written into its tensors, and these are returned. The engine copies every
   * output all the same, but the caller need not: an optimiser, say, has its gradients where it wants them.
   */
  async runInto(feeds: Feeds, into: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>> {
    return (await this.#inTurn(feeds, this.outputNames, into)).outputs
  }

  /** Also says how long the run took, without the wait for earlier ones. */
  async timedRun(
    feeds: Feeds,
    fetches?: readonly string[],
  ): Promise<{ outputs: Record<string, HostTensor>; elapsedUs: number }> {
    return this.#inTurn(feeds, fetches ?? this.outputNames, {})
  }

  async #inTurn(
    feeds: Feeds,
    fetches: readonly string[],
    into: Readonly<Record<string, HostTensor>>,
  ): Promise<{ outputs: Record<string, HostTensor>; elapsedUs: number }> {
    if (this.#released) {
      throw new PlateauError('SESSION_RELEASED', `The model "${this.name}" was asked to run after its release.`, {
        facts: { model: this.name },
      })
    }
    const result = this.#tail.then(() => this.#runNow(feeds, fetches, into))
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Waits for the runs already asked for, then frees the native memory. Safe to call twice. */
  release(): Promise<void> {
    this.#released ??= this.#tail.then(() => this.#session.release())
    return this.#released
  }

  async #runNow(
    feeds: Feeds,
    fetches: readonly string[],
    into: Readonly<Record<string, HostTensor>>,
  ): Promise<{ outputs: Record<string, HostTensor>; elapsedUs: number }> {
    const startMs = performance.now()
    try {
      const inputs: Record<string, OrtTensor> = {}
      for (const name in feeds) inputs[name] = this.#toEngine(feeds[name]!)
      const places: Record<string, OrtTensor | null> = {}
      for (const name of fetches) places[name] = into[name] === undefined ? null : this.#toEngine(into[name])
      const outputs = fromEngine(await this.#session.run(inputs, places), fetches)
      const elapsedUs = Math.round((performance.now() - startMs) * 1000)
      for (const name of fetches) {
        const place = into[name]
        if (place === undefined) continue
        freeOutput(outputs[name]!)
        outputs[name] = place
      }
      return { outputs, elapsedUs }
    } catch (cause) {
      throw new PlateauError('INFERENCE_FAILED', `Running the model "${this.name}" failed: ${messageOf(cause)}`, {
        facts: { model: this.name, feeds: describe(feeds) },
        cause,
      })
    }
  }

  #toEngine(tensor: HostTensor): OrtTensor {
    let converted = this.#converted.get(tensor)
    if (!converted) {
      converted = new this.#engine.Tensor(tensor.type, tensor.data, tensor.dims)
      this.#converted.set(tensor, converted)
    }
    return converted
  }
}

function fromEngine(outputs: OrtSession.ReturnType, fetches: readonly string[]): Record<string, HostTensor> {
  const result: Record<string, HostTensor> = {}
  for (const name of fetches) {
    // Asked for with places, the engine passes over names that it does not know.
    if (outputs[name] === undefined) throw new RangeError(`it has no output "${name}"`)
    const { type, dims, data } = outputs[name] as OrtTensor
    if (!elementTypes.has(type))
      throw new TypeError(`output "${name}" has element type ${type}, which is not supported`)
    result[name] = { type, dims, data } as HostTensor
  }
  return result
}

const elementTypes: ReadonlySet<string> = new Set<ElementType>([
  'float32',
  'float64',
  'int32',
  'int64',
  'uint8',
  'bool',
])

function describe(feeds: Feeds): string {
  return Object.entries(feeds)
    .slice(0, 8)
    .map(([name, { type, dims }]) => `${name}: ${type}[${dims.join(', ')}]`)
    .join('; ')
}

let engine: Promise<Engine> | undefined

/**
 * Loads the native library on first use. It writes a device id into the home folder unless ORT_DISABLE_TELEMETRY is in
 * the process environment by then. Setting it here is enough in the main thread; a worker's process.env is a copy that
 * native code does not see, so a process whose first session is opened in a worker must be started with it.
 */
function loadEngine(): Promise<Engine> {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1'
  engine ??= import('onnxruntime-node')
  return engine
}
