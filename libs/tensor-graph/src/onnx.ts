/**
 * Writes an ONNX ModelProto. Only the fields that we need, straight from onnx.proto3's field numbers: no generated code,
 * no dependency. Bytes of large initialisers are copied once, into the result.
 */
import { Message } from './message.js'

/** TensorProto.DataType numbers. bf16 and f16 data travel as Uint16Array bit patterns. */
const dataTypeNumbers = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
} as const

export type DataType = keyof typeof dataTypeNumbers

/** A size, or the name of one that is known only when the graph runs. */
export type Dimension = number | string

/** An integer, a string or integers as they are; floats and tensors say so, as JavaScript cannot tell 1 from 1.0. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorDef }

export interface NodeDef {
  readonly op: string
  /** Empty for standard ONNX; "com.microsoft" for ONNX Runtime's own operators. */
  readonly domain: string
  /** An empty name leaves an optional input out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, AttributeValue>>
}

/** Values that lie in a file beside the model, where a runtime can map them into memory. */
export interface ExternalData {
  /** Relative to the model's own folder. */
  readonly location: string
  /** In bytes; runtimes map whole pages, so let it be a multiple of 4096. */
  readonly offset: number
  readonly length: number
}

export type TensorData = ArrayBufferView | ExternalData

export interface TensorDef {
  readonly name: string
  readonly type: DataType
  readonly dims: readonly number[]
  readonly data: TensorData
}

export interface ValueInfo {
  readonly name: string
  readonly type: DataType
  readonly dims: readonly Dimension[]
}

export interface ModelDef {
  readonly nodes: readonly NodeDef[]
  readonly initializers: readonly TensorDef[]
  readonly inputs: readonly ValueInfo[]
  readonly outputs: readonly ValueInfo[]
  readonly opset: number
}

/** IR 10 came with opset 21; runtimes accept older opsets under it. */
const irVersion = 10
/** A protobuf message ends at 2 GiB. */
const maxModelBytes = 2 ** 31 - 1

export function encodeModel(model: ModelDef): Uint8Array {
  const graph = new Message()
  for (const node of model.nodes) graph.message(1, nodeMessage(node))
  graph.string(2, 'plateau')
  for (const tensor of model.initializers) graph.message(5, tensorMessage(tensor))
  for (const input of model.inputs) graph.message(11, valueInfoMessage(input))
  for (const output of model.outputs) graph.message(12, valueInfoMessage(output))

  const encoded = new Message().int(1, irVersion).string(2, 'plateau').message(7, graph)
  encoded.message(8, operatorSet('', model.opset))
  if (model.nodes.some((node) => node.domain === 'com.microsoft')) encoded.message(8, operatorSet('com.microsoft', 1))
  if (encoded.byteLength > maxModelBytes) {
    throw new RangeError(`the ONNX model takes ${encoded.byteLength} bytes, and protobuf ends at ${maxModelBytes}`)
  }
  return encoded.toBytes()
}

function operatorSet(domain: string, version: number): Message {
  return new Message().string(1, domain).int(2, version)
}

function nodeMessage(node: NodeDef): Message {
  const message = new Message()
  for (const input of node.inputs) message.string(1, input)
  for (const output of node.outputs) message.string(2, output)
  // The first output names the node in profiles and error messages.
  message.string(3, node.outputs[0] ?? '').string(4, node.op)
  for (const [name, value] of Object.entries(node.attributes)) message.message(5, attributeMessage(name, value))
  if (node.domain !== '') message.string(7, node.domain)
  return message
}

function attributeMessage(name: string, value: AttributeValue): Message {
  const message = new Message().string(1, name)
  if (typeof value === 'number') return message.int(3, value).int(20, 2)
  if (typeof value === 'string') return message.string(4, value).int(20, 3)
  if ('float' in value) return message.float(2, value.float).int(20, 1)
  if ('floats' in value) {
    for (const item of value.floats) message.float(7, item)
    return message.int(20, 6)
  }
  if ('tensor' in value) return message.message(5, tensorMessage(value.tensor)).int(20, 4)
  for (const item of value) message.int(8, item)
  return message.int(20, 7)
}

function tensorMessage(tensor: TensorDef): Message {
  const message = new Message()
  for (const size of tensor.dims) message.int(1, size)
  message.int(2, dataTypeNumbers[tensor.type]).string(8, tensor.name)
  if ('location' in tensor.data) return externalData(message, tensor.data)
  const { buffer, byteOffset, byteLength } = tensor.data
  return message.bytes(9, new Uint8Array(buffer, byteOffset, byteLength))
}

function externalData(tensor: Message, data: ExternalData): Message {
  for (const key of ['location', 'offset', 'length'] as const) {
    tensor.message(13, new Message().string(1, key).string(2, String(data[key])))
  }
  return tensor.int(14, 1)
}

function valueInfoMessage(value: ValueInfo): Message {
  const shape = new Message()
  for (const size of value.dims) {
    shape.message(1, typeof size === 'number' ? new Message().int(1, size) : new Message().string(2, size))
  }
  const tensorType = new Message().int(1, dataTypeNumbers[value.type]).message(2, shape)
  return new Message().string(1, value.name).message(2, new Message().message(1, tensorType))
}
