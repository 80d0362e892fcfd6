import { attributeTable } from '../registry/attribute-table.js'
import { eventTable, spanTable, type SpanDeclaration } from '../registry/span-table.js'
import type { CollectedSpan } from './test-collector.js'

/** What of a span that a collector got is not in the registry, in sentences. */
export function undeclared(span: CollectedSpan): string[] {
  const declared = declarationOf(span)
  if (declared === undefined) return [`no span of the registry is called "${span.name}" and is of kind ${span.kind}`]
  return [
    ...wrongAttributes(`span "${span.name}"`, span.attributes, declared.attributes),
    ...span.events.flatMap(({ name, attributes }) => {
      const event = declared.events?.find((known) => known === name)
      if (event === undefined) return [`span "${span.name}" has no event "${name}" in the registry`]
      return wrongAttributes(`event "${name}"`, attributes, eventTable[event].attributes)
    }),
  ]
}

/** The names as patterns, those with the most words of their own first: "publish version" is also "{phase} version". */
const patterns = Object.entries<SpanDeclaration>(spanTable)
  .map(([name, declaration]) => ({
    declaration,
    words: name.replaceAll(/\{\w+\}/g, '').length,
    pattern: patternOf(name),
  }))
  .toSorted((a, b) => b.words - a.words)

/** What is filled in has no spaces; the last may be nothing, as the route of a path that leads nowhere. */
function patternOf(name: string): RegExp {
  const last = name.replaceAll('.', String.raw`\.`).replace(/ \{\w+\}$/, String.raw`(?: \S+)?`)
  return new RegExp(`^${last.replaceAll(/\{\w+\}/g, String.raw`\S+`)}$`)
}

/** As OTLP numbers them. */
const KINDS = ['', 'internal', 'server', 'client', 'producer', 'consumer']

function declarationOf({ name, kind }: CollectedSpan): SpanDeclaration | undefined {
  // The instrumentation of calls makes a span of the same name at either end.
  const isOf = ({ kind: declared, auto }: SpanDeclaration): boolean =>
    declared === KINDS[kind] || (auto === true && KINDS[kind] === 'client')
  return patterns.find(({ pattern, declaration }) => isOf(declaration) && pattern.test(name))?.declaration
}

function wrongAttributes(what: string, found: CollectedSpan['attributes'], known: readonly string[]): string[] {
  return Object.entries(found).flatMap(([name, value]) => {
    if (!known.includes(name)) return [`${what} has no attribute "${name}" in the registry`]
    const { type } = attributeTable[name as keyof typeof attributeTable]
    const is = Array.isArray(value) ? 'strings' : typeof value
    return is === type ? [] : [`${what}: "${name}" is ${is}, in the registry ${type}`]
  })
}
