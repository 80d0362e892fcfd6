/**
 * One target in a thread of its own: an input that never comes back, or that fills the heap, ends the thread and not the
 * run. What it works on lies in memory that the main thread shares.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { findFailure, problemOf, runInput, type Findings } from './find-failures.js'
import type { OpenTarget } from './fuzz-target.js'
import { targets } from './targets.js'
import { shareInput, type Job, type Message } from './worker-messages.js'

const { targetName, job, shared } = workerData as { targetName: string; job: Job; shared: SharedArrayBuffer }
const target = targets.find(({ name }) => name === targetName)!
const starting = shareInput(shared)

// What a target leaves behind: a promise that nobody waits for is a defect as well.
const stray: string[] = []
process.on('unhandledRejection', (error) => void stray.push(problemOf(error)))
process.on('uncaughtException', (error) => void stray.push(problemOf(error)))

const none = { refused: 0, slowestMs: 0, mostMemoryMiB: 0 }
let findings: Findings
try {
  findings = await work(await target.open())
} catch (error) {
  findings = { runs: 0, ...none, failure: { input: new Uint8Array(), problem: `not opened: ${problemOf(error)}` } }
}
const [left] = stray
const failure = left === undefined ? undefined : { input: new Uint8Array(), problem: `left behind: ${left}` }
parentPort!.postMessage({ kind: 'done', findings: { ...findings, failure: findings.failure ?? failure } } as Message)

async function work(opened: OpenTarget): Promise<Findings> {
  try {
    return await (job.kind === 'replay' ? replay(opened, job.input) : findFailure(target, opened, { ...job, starting }))
  } finally {
    await opened.close?.()
  }
}

async function replay(opened: OpenTarget, input: Uint8Array): Promise<Findings> {
  const problem = await runInput(target, opened, input, starting).then(() => undefined, problemOf)
  return { runs: 1, ...none, failure: problem === undefined ? undefined : { input, problem } }
}
