import { PlateauError } from '@plateau/contracts'

export function closedError(): PlateauError {
  return new PlateauError('LOG_CLOSED', 'The event log, or this part of it, has been closed.')
}

export function notLeasedError(topic: string, lease: string): PlateauError {
  return new PlateauError(
    'TOPIC_NOT_LEASED',
    `Lease ${lease} was not taken for topic ${topic}: name it in its topics.`,
    { facts: { topic, lease } },
  )
}

export function recordTooLargeError(topic: string, bytes: number, maxBytes: number): PlateauError {
  return new PlateauError(
    'RECORD_TOO_LARGE',
    `A record of ${bytes} bytes does not fit topic ${topic}, which takes ${maxBytes}.`,
    { facts: { topic, bytes, maxBytes } },
  )
}
