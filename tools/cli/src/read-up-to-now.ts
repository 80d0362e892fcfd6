import type { Batch, EventLog, ReaderOptions } from '@plateau/event-log'

/** The records that a topic holds at this moment, batch by batch. Throws the signal's reason when it is aborted. */
export async function* readUpToNow(
  log: EventLog,
  topic: string,
  options: { readonly from?: ReaderOptions['from']; readonly signal: AbortSignal },
): AsyncGenerator<Batch, void> {
  options.signal.throwIfAborted()
  const reader = log.reader({ topic, from: options.from ?? 'earliest' })
  const stop = () => void reader.close()
  options.signal.addEventListener('abort', stop)
  void reader.caughtUp.then(stop, () => {})
  try {
    for await (const batch of reader) {
      yield batch
      options.signal.throwIfAborted()
    }
    options.signal.throwIfAborted()
    // Rejects when the reader ended before it got there.
    await reader.caughtUp
  } finally {
    options.signal.removeEventListener('abort', stop)
    await reader.close()
  }
}
