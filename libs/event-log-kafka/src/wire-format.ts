import { allTopics, frameConfluent, PlateauError, unframe } from '@plateau/contracts'
import type { Wire } from './options.js'

/** How a topic's values are written, and read back. Everything but the values of public topics is left alone. */
export interface WireFormat {
  encode(topic: string, value: Uint8Array): Uint8Array
  /** Takes either form, whoever wrote it. What only looks like a frame is handed over as it is, for its reader to judge. */
  decode(topic: string, value: Uint8Array): Uint8Array
}

const PUBLIC_PREFIX = 'public.'

export function wireFormat(wire: Wire): WireFormat {
  return {
    encode(topic, value) {
      if (wire.kind === 'raw' || !topic.startsWith(PUBLIC_PREFIX)) return value
      const schemaId = wire.schemaIdOf(topic)
      return schemaId === undefined ? value : frameConfluent(schemaId, messageIndexOf(topic), value)
    },
    decode(topic, value) {
      if (!topic.startsWith(PUBLIC_PREFIX)) return value
      try {
        return unframe(value).payload
      } catch (thrown) {
        if (thrown instanceof PlateauError && thrown.code === 'BAD_FRAME') return value
        throw thrown
      }
    },
  }
}

function messageIndexOf(topic: string): number {
  const spec = allTopics.find(({ name }) => name === topic)
  if (spec !== undefined) return spec.schema.messageIndex
  throw new PlateauError('UNKNOWN_TOPIC', `No declaration says which message of its schema topic ${topic} holds.`, {
    facts: { topic },
  })
}
