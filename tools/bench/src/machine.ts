import { availableParallelism, cpus, loadavg } from 'node:os'

/** What a figure depends on besides the code, to stand beside it. */
export interface Machine {
  readonly cores: number
  readonly cpu: string
  /** Runnable processes, mean of the last minute: above 0 before a run means that something else wants the cores. */
  readonly loadAverage: number
  readonly node: string
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    loadAverage: Math.round(loadavg()[0]! * 100) / 100,
    node: process.version,
  }
}

export function printMachine({ cores, cpu, loadAverage, node }: Machine): void {
  console.log(`\n${cores} cores of ${cpu}, load average ${loadAverage} before the run, Node ${node}`)
}
