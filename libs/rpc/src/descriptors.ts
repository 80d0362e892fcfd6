/**
 * What reflection answers from: the files of a descriptor set (google.protobuf.FileDescriptorSet, what `buf build` and
 * `protoc --descriptor_set_out` write) and which of them declares a name. Field numbers are descriptor.proto's.
 */
import { bytesOf, readFields, textOf } from './wire.js'

interface DescribedFile {
  /** The encoded FileDescriptorProto. */
  readonly bytes: Buffer
  readonly imports: readonly string[]
}

export class Descriptors {
  readonly #files = new Map<string, DescribedFile>()
  readonly #fileOfSymbol = new Map<string, string>()
  readonly #messages = new Set<string>()

  /** Throws RangeError for bytes that are no descriptor set. */
  constructor(sets: readonly Uint8Array[]) {
    for (const set of sets) for (const file of bytesOf(readFields(Buffer.from(set)), 1)) this.#addFile(file)
  }

  /** The file and everything that it imports, itself first, without what `known` holds already; undefined = no such file. */
  withImports(name: string, known: Set<string>): Buffer[] | undefined {
    const asked = this.#files.get(name)
    if (asked === undefined) return undefined
    known.add(name)
    const missing = asked.imports.filter((imported) => !known.has(imported))
    return [asked.bytes, ...missing.flatMap((imported) => this.withImports(imported, known) ?? [])]
  }

  /** Name of the file that declares a service, method, message, field, oneof, enum or enum value. */
  fileOf(symbol: string): string | undefined {
    return this.#fileOfSymbol.get(symbol)
  }

  hasMessage(name: string): boolean {
    return this.#messages.has(name)
  }

  #addFile(bytes: Buffer): void {
    const fields = readFields(bytes)
    const file = textOf(fields, 1)
    const packageName = textOf(fields, 2)
    this.#files.set(file, { bytes, imports: bytesOf(fields, 3).map((name) => name.toString('utf8')) })
    const declare = (scope: string, declared: Buffer): string => {
      const name = [scope, textOf(readFields(declared), 1)].filter(Boolean).join('.')
      this.#fileOfSymbol.set(name, file)
      return name
    }
    const declareEnum = (scope: string, declared: Buffer): void => {
      declare(scope, declared)
      // Values stand beside their enum, not in it.
      for (const value of bytesOf(readFields(declared), 2)) declare(scope, value)
    }
    const declareMessage = (scope: string, declared: Buffer): void => {
      const name = declare(scope, declared)
      this.#messages.add(name)
      const parts = readFields(declared)
      for (const part of [...bytesOf(parts, 2), ...bytesOf(parts, 8)]) declare(name, part)
      for (const part of bytesOf(parts, 3)) declareMessage(name, part)
      for (const part of bytesOf(parts, 4)) declareEnum(name, part)
    }
    for (const message of bytesOf(fields, 4)) declareMessage(packageName, message)
    for (const declared of bytesOf(fields, 5)) declareEnum(packageName, declared)
    for (const service of bytesOf(fields, 6)) {
      const name = declare(packageName, service)
      for (const part of bytesOf(readFields(service), 2)) declare(name, part)
    }
  }
}
