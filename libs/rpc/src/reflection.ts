/**
 * The standard grpc.reflection service (proto/grpc/reflection), v1 and v1alpha: grpcurl, Postman and others ask it what a
 * server serves. It answers what cannot be answered with an error_response and goes on.
 */
import { status, type ServiceDefinition } from '@grpc/grpc-js'
import type { Descriptors } from './descriptors.js'
import { bidiStream, type ReportError } from './handlers.js'
import type { RpcService } from './server.js'
import { bytesOf, field, readFields, textOf } from './wire.js'

/** A ServerReflectionRequest: the field that is set, and the whole, which the response repeats. */
export interface ReflectionRequest {
  readonly number: number
  readonly value: string
  readonly original: Buffer
}

const HOST = 1
/** Fields of ServerReflectionRequest */
const FILE_BY_FILENAME = 3
const FILE_CONTAINING_SYMBOL = 4
const FILE_CONTAINING_EXTENSION = 5
const ALL_EXTENSION_NUMBERS_OF_TYPE = 6
const LIST_SERVICES = 7
/** Fields of ServerReflectionResponse */
const RESPONSE = { file: 4, extensionNumbers: 5, services: 6, error: 7 } as const

export const reflectionVersions = ['v1', 'v1alpha'] as const

/** One of the two services. @param services names of what the server serves */
export function reflectionService(
  version: (typeof reflectionVersions)[number],
  descriptors: Descriptors,
  services: readonly string[],
  report: ReportError,
): RpcService {
  async function* answers(requests: AsyncIterable<ReflectionRequest>): AsyncGenerator<Buffer> {
    // A file that the client has on this stream is not sent again as another's import.
    const sent = new Set<string>()
    for await (const request of requests) {
      const host = textOf(readFields(request.original), HOST)
      yield Buffer.concat([field(1, host), field(2, request.original), answer(request, descriptors, services, sent)])
    }
  }
  return {
    definition: definitionOf(version),
    implementation: { serverReflectionInfo: bidiStream(answers, report) },
  }
}

function definitionOf(version: string): ServiceDefinition {
  return {
    serverReflectionInfo: {
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: ({ original }: ReflectionRequest) => original,
      requestDeserialize: parseRequest,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  }
}

function parseRequest(original: Buffer): ReflectionRequest {
  const fields = readFields(original)
  const number = fields.findLast((candidate) => candidate.number !== HOST)?.number ?? 0
  // An ExtensionRequest begins with the type's name.
  const inner = number === FILE_CONTAINING_EXTENSION ? readFields(bytesOf(fields, number).at(-1)!) : fields
  return { number, value: textOf(inner, number === FILE_CONTAINING_EXTENSION ? 1 : number), original }
}

function answer(
  { number, value }: ReflectionRequest,
  descriptors: Descriptors,
  services: readonly string[],
  sent: Set<string>,
): Buffer {
  switch (number) {
    case FILE_BY_FILENAME:
      return files(descriptors, value, sent) ?? error(status.NOT_FOUND, `there is no file "${value}"`)
    case FILE_CONTAINING_SYMBOL:
      return (
        files(descriptors, descriptors.fileOf(value), sent) ?? error(status.NOT_FOUND, `nothing is named "${value}"`)
      )
    case FILE_CONTAINING_EXTENSION:
      return error(status.NOT_FOUND, `"${value}" has no extensions`)
    case ALL_EXTENSION_NUMBERS_OF_TYPE:
      return descriptors.hasMessage(value)
        ? field(RESPONSE.extensionNumbers, field(1, value))
        : error(status.NOT_FOUND, `there is no message "${value}"`)
    case LIST_SERVICES:
      return field(RESPONSE.services, Buffer.concat(services.map((name) => field(1, field(1, name)))))
    default:
      return error(status.INVALID_ARGUMENT, 'the request asks for nothing')
  }
}

function files(descriptors: Descriptors, name: string | undefined, sent: Set<string>): Buffer | undefined {
  const found = name === undefined ? undefined : descriptors.withImports(name, sent)
  return found && field(RESPONSE.file, Buffer.concat(found.map((bytes) => field(1, bytes))))
}

function error(code: status, message: string): Buffer {
  return field(RESPONSE.error, Buffer.concat([field(1, code), field(2, message)]))
}
