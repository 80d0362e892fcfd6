import { setTimeout as sleep } from 'node:timers/promises'

/** Polls; gives up after 20 s. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`still not so after 20 s: ${what}`)
    await sleep(5)
  }
}
