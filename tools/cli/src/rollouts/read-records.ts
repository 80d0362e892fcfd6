import { PlateauError, unframe, type TopicSpec } from '@plateau/contracts'
import { readUpToNow } from '@plateau/event-log'
import type { Context } from '../command.js'

/** Every value of a topic up to now, oldest first; none where the topic does not exist. Deleted keys are left out. */
export async function readValues<T>(context: Context, topic: TopicSpec<T>): Promise<T[]> {
  const log = await context.openLog()
  const values: T[] = []
  try {
    for await (const { records } of readUpToNow(log.reader({ topic: topic.name, from: 'earliest' }), context.signal)) {
      for (const { value } of records) if (value !== null) values.push(topic.codec.decode(unframe(value).payload))
    }
  } catch (error) {
    if (!(error instanceof PlateauError) || error.code !== 'UNKNOWN_TOPIC') throw error
  }
  return values
}
