import { messageOf } from '@plateau/contracts'
import { Worker } from 'node:worker_threads'
import type { Findings } from './find-failures.js'
import type { FuzzTarget } from './fuzz-target.js'
import { inputsBegun, lastInput, sharedMemory, type Job, type Message } from './worker-messages.js'

/** Of the thread: a target whose memory is not bounded ends here, and not the machine. */
const HEAP_MIB = 1024
/** An input that takes so many times what it may is not coming back. */
const HANG_FACTOR = 20
const OPEN_MS = 120_000
const LOOK_MS = 250

/** One job on one target, in a thread that is cut off where it hangs. */
export async function runTarget(target: FuzzTarget, job: Job): Promise<Findings> {
  const shared = sharedMemory()
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: { targetName: target.name, job, shared },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
    // Services write their log to it.
    stdout: true,
    stderr: true,
  })
  const done = Promise.withResolvers<Findings>()
  const failed = (problem: string): void => {
    const failure = { input: lastInput(shared), problem }
    done.resolve({ runs: inputsBegun(shared), refused: 0, slowestMs: 0, mostMemoryMiB: 0, failure })
  }
  worker.stdout.resume()
  worker.stderr.resume()
  worker.on('message', ({ findings }: Message) => done.resolve(findings))
  worker.on('error', (error) => failed(`the thread ended: ${messageOf(error)}`))
  worker.on('exit', (code) => failed(`the thread ended with ${code}`))
  const watch = watchForHang(shared, HANG_FACTOR * target.limits.inputMs, () => {
    failed(`did not come back within ${(HANG_FACTOR * target.limits.inputMs) / 1000} s`)
  })
  try {
    return await done.promise
  } finally {
    clearInterval(watch)
    await worker.terminate()
  }
}

function watchForHang(shared: SharedArrayBuffer, inputMs: number, hangs: () => void): NodeJS.Timeout {
  let seen = 0
  let sinceMs = performance.now()
  return setInterval(() => {
    const begun = inputsBegun(shared)
    if (begun !== seen) [seen, sinceMs] = [begun, performance.now()]
    else if (performance.now() - sinceMs > (begun === 0 ? OPEN_MS : inputMs)) hangs()
  }, LOOK_MS)
}
