/**
 * Builds an ONNX graph node by node. Values are names; the builder neither infers nor checks shapes, so it serves graphs
 * with dynamic dimensions as well as the static ones of autodiff.ts.
 *
 *     const graph = new GraphBuilder()
 *     const x = graph.input('x', 'f32', ['batch', 4])
 *     const y = graph.op('MatMul', [x, graph.constant(weights, [4, 2])])
 *     graph.output('y', y, 'f32', ['batch', 2])
 *     const model = graph.encode()
 */
import { encodeModel } from './onnx.js'
import type { AttributeValue, DataType, Dimension, NodeDef, TensorData, TensorDef, ValueInfo } from './onnx.js'

export interface OpOptions {
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  /** "com.microsoft" for ONNX Runtime's own operators. */
  readonly domain?: string
  /** The name of the first output, for profiles and error messages; must be new. A fresh one is made by default. */
  readonly name?: string
}

export class GraphBuilder {
  #nodes: NodeDef[] = []
  readonly #inputs: ValueInfo[] = []
  readonly #outputs: { readonly info: ValueInfo; readonly value: string }[] = []
  readonly #initializers: TensorDef[] = []
  readonly #constantsByContent = new Map<string, string>()
  readonly #taken = new Set<string>()
  #fresh = 0

  input(name: string, type: DataType, dims: readonly Dimension[]): string {
    this.#take(name)
    this.#inputs.push({ name, type, dims })
    return name
  }

  /**
   * A tensor stored in the model, or in a file beside it. Equal ones are stored once, where they are small or external.
   * `type` is needed for f16, bf16 and bool data, and for external data.
   */
  constant(data: TensorData, dims: readonly number[], options: { type?: DataType; name?: string } = {}): string {
    const type = options.type ?? typeOfArray(data)
    const content = options.name === undefined ? contentKey(data) : undefined
    const key = `${type} [${dims.join()}] ${content}`
    const known = content === undefined ? undefined : this.#constantsByContent.get(key)
    if (known !== undefined) return known
    const name = options.name ?? this.#freshName('constant')
    if (options.name !== undefined) this.#take(name)
    this.#initializers.push({ name, type, dims, data })
    if (content !== undefined) this.#constantsByContent.set(key, name)
    return name
  }

  /** A 0-dimensional f32. */
  scalar(value: number): string {
    return this.constant(Float32Array.of(value), [])
  }

  /** A 1-dimensional i64: shapes, axes, repeats. */
  ints(...values: number[]): string {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length])
  }

  /** A node with one output. */
  op(op: string, inputs: readonly string[], options: OpOptions = {}): string {
    return this.#node(op, inputs, 1, options)[0] ?? ''
  }

  /** A node with several outputs. */
  ops(op: string, inputs: readonly string[], outputCount: number, options: OpOptions = {}): string[] {
    return this.#node(op, inputs, outputCount, options)
  }

  output(name: string, value: string, type: DataType, dims: readonly Dimension[]): void {
    if (this.#outputs.some((output) => output.info.name === name)) {
      throw new RangeError(`the graph already has an output named ${name}`)
    }
    if (name !== value) this.#take(name)
    this.#outputs.push({ info: { name, type, dims }, value })
  }

  /** The model, without nodes and constants that no output needs. */
  encode(options: { opset?: number } = {}): Uint8Array {
    const { nodes, needed } = this.#neededNodes(this.#nameOutputs())
    return encodeModel({
      nodes,
      initializers: this.#initializers.filter((tensor) => needed.has(tensor.name)),
      inputs: this.#inputs,
      outputs: this.#outputs.map((output) => output.info),
      opset: options.opset ?? 20,
    })
  }

  #node(op: string, inputs: readonly string[], outputCount: number, options: OpOptions): string[] {
    if (options.name !== undefined) this.#take(options.name)
    const first = options.name ?? this.#freshName(op)
    const outputs = [first]
    while (outputs.length < outputCount) outputs.push(this.#freshName(op))
    for (const input of inputs) {
      if (input !== '' && !this.#taken.has(input)) throw new RangeError(`${op} reads ${input}, which nothing produces`)
    }
    this.#nodes.push({ op, domain: options.domain ?? '', inputs, outputs, attributes: options.attributes ?? {} })
    return outputs
  }

  /** Renames the producer's output where it can: an Identity on a graph output would copy the tensor. */
  #nameOutputs(): NodeDef[] {
    const produced = new Set(this.#nodes.flatMap((node) => node.outputs))
    const renamed = new Map<string, string>()
    const copies: NodeDef[] = []
    for (const { info, value } of this.#outputs) {
      if (info.name === value) continue
      if (produced.has(value) && !renamed.has(value)) renamed.set(value, info.name)
      else copies.push({ op: 'Identity', domain: '', inputs: [value], outputs: [info.name], attributes: {} })
    }
    const rename = (name: string) => renamed.get(name) ?? name
    return [...this.#nodes, ...copies].map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    }))
  }

  #neededNodes(nodes: readonly NodeDef[]): { nodes: NodeDef[]; needed: Set<string> } {
    const needed = new Set(this.#outputs.map((output) => output.info.name))
    const kept: NodeDef[] = []
    for (const node of nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue
      kept.push(node)
      for (const input of node.inputs) needed.add(input)
    }
    return { nodes: kept.reverse(), needed }
  }

  #take(name: string): void {
    if (this.#taken.has(name)) throw new RangeError(`the graph already has a value named ${name}`)
    this.#taken.add(name)
  }

  #freshName(prefix: string): string {
    const name = `${prefix}_${this.#fresh++}`
    this.#take(name)
    return name
  }
}

/** Undefined where telling equal tensors apart would mean to read large ones. */
function contentKey(data: TensorData): string | undefined {
  if ('location' in data) return `${data.location} ${data.offset} ${data.length}`
  return data.byteLength <= 64 ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).join() : undefined
}

function typeOfArray(data: TensorData): DataType {
  if (data instanceof Float32Array) return 'f32'
  if (data instanceof BigInt64Array) return 'i64'
  if (data instanceof Int32Array) return 'i32'
  if (data instanceof Uint8Array) return 'u8'
  if (data instanceof Int8Array) return 'i8'
  if (data instanceof Float64Array) return 'f64'
  throw new TypeError(`say the ONNX type of a constant held in a ${data.constructor.name}`)
}
