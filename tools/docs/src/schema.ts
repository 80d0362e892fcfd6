/**
 * The published messages, read from the buf image (docs/plateau.binpb): names, types, and the comments that the proto
 * files carry.
 */
import { createFileRegistry, fromBinary, ScalarType, toJson } from '@bufbuild/protobuf'
import type { DescEnum, DescField, DescFile, DescMessage, JsonObject } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

export class Schema {
  readonly #registry

  /** `image`: what `buf build` writes, with source info. `sourceOf` returns a proto file's text by its name. */
  constructor(
    image: Uint8Array,
    readonly sourceOf: (file: string) => string,
  ) {
    this.#registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image))
  }

  message(fullName: string): DescMessage {
    const message = this.#registry.getMessage(fullName)
    if (!message) throw new Error(`the image has no message ${fullName}: run \`npm run gen:image\``)
    return message
  }

  /** A value as proto3 JSON, with the proto file's field names and every field present. */
  json(message: DescMessage, value: Uint8Array): JsonObject {
    const decoded = fromBinary(message, value)
    const json = toJson(message, decoded, { useProtoFieldName: true, alwaysEmitImplicit: true })
    return json as JsonObject
  }

  /** A proto file of its own that declares `message` and what it needs, word for word; no other message is a root. */
  standalone(message: DescMessage): string {
    const needed = closureOf(message)
    const inOrder = [...message.file.messages, ...message.file.enums]
      .filter((declared) => needed.has(declared))
      .map((declared) => locate(declared))
      .toSorted((a, b) => a.span[0]! - b.span[0]!)
    const lines = this.sourceOf(`${message.file.name}.proto`).split('\n')
    const declarations = inOrder.map(({ span, comment }) => {
      const [from, , to = from] = span.length === 4 ? span : [span[0], span[1], span[0]]
      return [...comment.split('\n').map((line) => `//${line}`), ...lines.slice(from, to! + 1)].join('\n')
    })
    return [`syntax = "proto3";\n\npackage ${message.file.proto.package};`, ...declarations].join('\n\n') + '\n'
  }
}

/** The comment in front of a declaration, as one paragraph. Empty when there is none. */
export function commentOf(declared: DescMessage | DescEnum | DescField): string {
  return locate(declared)
    .comment.trim()
    .replaceAll(/\s*\n\s*/g, ' ')
}

export function enumValueComments(declared: DescEnum): { name: string; comment: string }[] {
  const path = pathOf(declared)
  return declared.values.map((value, i) => ({
    name: value.name,
    comment: at(declared.file, [...path, 2, i])
      .comment.trim()
      .replaceAll(/\s*\n\s*/g, ' '),
  }))
}

/** As it is written in the proto file: "repeated float", "Provenance". */
export function typeOf(field: DescField): string {
  return field.fieldKind === 'list' ? `repeated ${elementTypeOf(field)}` : elementTypeOf(field)
}

export function elementTypeOf(field: DescField): string {
  if (field.message) return field.message.name
  if (field.enum) return field.enum.name
  return ScalarType[field.scalar].toLowerCase()
}

function closureOf(root: DescMessage, found = new Set<DescMessage | DescEnum>()): Set<DescMessage | DescEnum> {
  if (found.has(root)) return found
  found.add(root)
  for (const field of root.fields) {
    const used = field.message ?? field.enum
    if (used && used.file !== root.file) throw new Error(`${root.typeName}.${field.name} is declared in another file`)
    if (field.enum) found.add(field.enum)
    if (field.message) closureOf(field.message, found)
  }
  return found
}

interface Location {
  readonly span: readonly number[]
  readonly comment: string
}

function locate(declared: DescMessage | DescEnum | DescField): Location {
  return at(declared.kind === 'field' ? declared.parent.file : declared.file, pathOf(declared))
}

/** Numbers of descriptor.proto's fields: 4 = messages, 5 = enums of a file; 2 = fields or values within. */
function pathOf(declared: DescMessage | DescEnum | DescField): number[] {
  switch (declared.kind) {
    case 'message':
      return [4, declared.file.messages.indexOf(declared)]
    case 'enum':
      return [5, declared.file.enums.indexOf(declared)]
    case 'field':
      return [...pathOf(declared.parent), 2, declared.parent.fields.indexOf(declared)]
  }
}

function at(file: DescFile, path: readonly number[]): Location {
  const wanted = path.join('.')
  const found = file.proto.sourceCodeInfo?.location.find((location) => location.path.join('.') === wanted)
  if (!found) throw new Error(`${file.name}: the image carries no source info; build it without --exclude-source-info`)
  return { span: found.span, comment: found.leadingComments.replace(/\n$/, '') }
}
