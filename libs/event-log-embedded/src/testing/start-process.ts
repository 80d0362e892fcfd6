import { setTimeout as sleep } from 'node:timers/promises'
import { type Program, startProgram } from '@plateau/event-log/contract-suite'

export type LogProcess = Program

/** Runs log-process.ts in a process of its own. */
export function startLogProcess(...args: readonly (string | number)[]): LogProcess {
  return startProgram(new URL('./log-process.ts', import.meta.url), args)
}

/** Polls; gives up long before a session of a minute would time out. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`still not so after 20 s: ${what}`)
    await sleep(10)
  }
}
