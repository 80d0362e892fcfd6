import { setTimeout as sleep } from 'node:timers/promises'

/** Asks again until there is an answer. */
export async function until<T>(ask: () => Promise<T | undefined>, timeoutMs = 15_000): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > deadline) throw new Error(`no answer within ${timeoutMs} ms`)
    await sleep(50)
  }
}
