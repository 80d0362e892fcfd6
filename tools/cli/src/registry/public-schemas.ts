import { allTopics, PlateauError } from '@plateau/contracts'
import { protoText } from '../proto-files.js'

export interface PublicSchema {
  readonly topic: string
  /** By the topic name strategy, which is every client's default. */
  readonly subject: string
  readonly messageType: string
  /** Which of the file's messages, from 0; part of what frames a value. */
  readonly messageIndex: number
  readonly text: string
}

/** What other teams' deserialisers ask a registry for. */
export function publicSchemas(protoDirectory: string | undefined): PublicSchema[] {
  return allTopics
    .filter(({ name }) => name.startsWith('public.'))
    .map((topic) => {
      const text = protoText(topic, protoDirectory)
      if (/^import /m.test(text)) {
        // Its imports would have to be registered first, as references.
        throw new PlateauError(
          'PROTO_IMPORTS',
          `${topic.schema.file} imports other files; a public topic's must stand alone`,
        )
      }
      return {
        topic: topic.name,
        subject: `${topic.name}-value`,
        messageType: topic.messageType,
        messageIndex: topic.schema.messageIndex,
        text,
      }
    })
}
