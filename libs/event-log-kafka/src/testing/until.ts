import { setTimeout as sleep } from 'node:timers/promises'

const PATIENCE_MS = 60_000

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS
  while (!(await condition())) {
    if (performance.now() > giveUpAtMs) throw new Error(`still not so after ${PATIENCE_MS} ms: ${what}`)
    await sleep(10)
  }
}
