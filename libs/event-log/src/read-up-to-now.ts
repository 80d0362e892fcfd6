import type { Batch, Reader } from './event-log.js'

/**
 * What the reader's topic held when the reader was made, batch by batch; then closes it. Throws when it ends before that
 * (LOG_CLOSED), and the signal's reason when that is aborted.
 */
export async function* readUpToNow(reader: Reader, signal?: AbortSignal): AsyncGenerator<Batch, void> {
  const stop = () => void reader.close()
  signal?.addEventListener('abort', stop)
  void reader.caughtUp.then(stop, () => {})
  try {
    signal?.throwIfAborted()
    for await (const batch of reader) {
      yield batch
      signal?.throwIfAborted()
    }
    signal?.throwIfAborted()
    // Rejects when the reader ended before it got there.
    await reader.caughtUp
  } finally {
    signal?.removeEventListener('abort', stop)
    await reader.close()
  }
}
