/**
 * A client of the standard services as grpcurl is one: it knows their published protos (proto/), by the Protobuf runtime
 * and not by this package's own reading of the wire, and everything else it asks the server.
 */
import { readFile } from 'node:fs/promises'
import {
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescMessage,
  type FileRegistry,
  type JsonObject,
} from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt'
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { onTestFinished } from 'vitest'

const image = await readFile(new URL('../grpc.binpb', import.meta.url))
const standard = createFileRegistry(fromBinary(FileDescriptorSetSchema, image))

export function dialAny(address: string): Client {
  const client = new Client(address, credentials.createInsecure())
  onTestFinished(() => client.close())
  return client
}

/** A unary call of a method that is known by its description alone. Messages are Protobuf's JSON. */
export function callByName(
  registry: FileRegistry,
  client: Client,
  service: string,
  method: string,
  request: JsonObject,
): Promise<JsonObject> {
  const { path, input, output } = methodOf(registry, service, method)
  return new Promise((resolve, reject) => {
    const answer = (error: ServiceError | null, value?: JsonObject) => (error ? reject(error) : resolve(value!))
    client.makeUnaryRequest(path, encoder(input), decoder(output), request, new Metadata(), answer)
  })
}

export async function checkHealth(address: string, service: string): Promise<unknown> {
  const found = await callByName(standard, dialAny(address), 'grpc.health.v1.Health', 'Check', { service })
  return found['status']
}

/** Every state that the server tells, as it comes. */
export async function* watchHealth(address: string, service: string): AsyncGenerator<unknown> {
  const { path, input, output } = methodOf(standard, 'grpc.health.v1.Health', 'Watch')
  const call = dialAny(address).makeServerStreamRequest(path, encoder(input), decoder(output), { service })
  call.on('error', () => {})
  try {
    for await (const message of call) yield (message as JsonObject)['status']
  } finally {
    call.cancel()
  }
}

export async function reflectionClient(address: string, version: 'v1' | 'v1alpha') {
  const { path, input, output } = methodOf(
    standard,
    `grpc.reflection.${version}.ServerReflection`,
    'ServerReflectionInfo',
  )
  const call = dialAny(address).makeBidiStreamRequest(path, encoder(input), decoder(output))
  call.on('error', () => {})
  onTestFinished(() => call.cancel())
  const responses = call[Symbol.asyncIterator]() as AsyncIterator<JsonObject>
  const ask = async (request: JsonObject): Promise<JsonObject> => {
    call.write(request)
    return (await responses.next()).value as JsonObject
  }
  const files = async (request: JsonObject): Promise<FileDescriptorProto[]> => {
    const found = (await ask(request))['fileDescriptorResponse'] as { fileDescriptorProto: string[] } | undefined
    return (found?.fileDescriptorProto ?? []).map((file) =>
      fromBinary(FileDescriptorProtoSchema, Buffer.from(file, 'base64')),
    )
  }
  const services = async (): Promise<string[]> => {
    const found = (await ask({ listServices: '' }))['listServicesResponse'] as { service: { name: string }[] }
    return found.service.map(({ name }) => name)
  }
  return { ask, files, services }
}

function methodOf(registry: FileRegistry, service: string, method: string) {
  const found = registry.getService(service)?.methods.find(({ name }) => name === method)
  if (found === undefined) throw new Error(`${service} has no ${method}`)
  return { path: `/${service}/${method}`, input: found.input, output: found.output }
}

const encoder = (message: DescMessage) => (json: JsonObject) => Buffer.from(toBinary(message, fromJson(message, json)))
const decoder = (message: DescMessage) => (bytes: Buffer) => toJson(message, fromBinary(message, bytes)) as JsonObject
