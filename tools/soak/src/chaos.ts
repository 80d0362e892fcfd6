import type { ProcessName } from '@plateau/demo'
import { execFile } from 'node:child_process'
import { rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { nameOf, type Blow, type PlannedBlow } from './chaos-plan.js'
import type { Outages } from './outages.js'
import type { SoakSystem } from './system.js'

const run = promisify(execFile)

/** Long enough on a machine whose processors are busy. */
const READY_MS = 120_000
/** Whoever writes the log or checkpoints. */
const writers: readonly ProcessName[] = ['target-model', 'flatness-scorer', 'trainer', 'serving']

/** Carries out a plan, one blow after the other; each is mended before the next, also when the signal ends it early. */
export async function runChaos(
  system: SoakSystem,
  outages: Outages,
  plan: readonly PlannedBlow[],
  { signal, say }: { readonly signal: AbortSignal; readonly say: (line: string) => void },
): Promise<void> {
  const startedMs = Date.now()
  for (const { atMs, blow } of plan) {
    await sleep(Math.max(0, startedMs + atMs - Date.now()), undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    say(nameOf(blow))
    const outage = outages.begin(nameOf(blow), hitBy(blow), Date.now())
    try {
      await strike(system, outages, blow, signal)
      await allReady(system)
    } finally {
      outage.untilMs = Date.now()
    }
  }
}

/** Also those that ended by themselves meanwhile and are being started again. */
async function allReady({ cluster }: SoakSystem): Promise<void> {
  const giveUpAtMs = Date.now() + READY_MS
  for (;;) {
    try {
      await Promise.all(cluster.processes.map((name) => cluster.ready(name, giveUpAtMs - Date.now())))
      return
    } catch (error) {
      if (Date.now() > giveUpAtMs) throw error
      await sleep(500)
    }
  }
}

/** Whose requests may fail because of it. */
function hitBy(blow: Blow): readonly ProcessName[] {
  if ('service' in blow) return [blow.service]
  if (blow.kind === 'disk full') return writers
  // Traffic goes on without checkpoints and without brokers.
  return ['trainer', 'flatness-scorer']
}

async function strike(system: SoakSystem, outages: Outages, blow: Blow, signal: AbortSignal): Promise<void> {
  const { cluster, brokers } = system
  switch (blow.kind) {
    case 'kill -9':
      return replace(system, outages, blow.service, (name) => cluster.kill9(name))
    case 'drain and restart':
      return replace(system, outages, blow.service, (name) => cluster.terminate(name))
    case 'freeze':
      return frozen(cluster.processId(blow.service), () => pause(blow.seconds, signal))
    case 'checkpoint store away':
      return withoutCheckpoints(cluster.checkpointDirectory, () => pause(blow.seconds, signal))
    case 'disk full':
      return diskFull(system, () => pause(blow.seconds, signal))
    case 'broker kill -9':
      await brokers!.brokers[0]!.kill9()
      return brokers!.brokers[0]!.start()
    case 'broker freeze': {
      const broker = brokers!.brokers[0]!
      broker.freeze()
      try {
        return await pause(blow.seconds, signal)
      } finally {
        broker.thaw()
      }
    }
  }
}

async function replace(
  { cluster }: SoakSystem,
  outages: Outages,
  name: ProcessName,
  end: (name: ProcessName) => Promise<unknown>,
): Promise<void> {
  outages.inHand.add(name)
  try {
    await end(name)
    await sleep(1000)
    cluster.launch(name)
  } finally {
    outages.inHand.delete(name)
  }
}

async function frozen(pid: number | undefined, meanwhile: () => Promise<void>): Promise<void> {
  if (pid === undefined) return
  process.kill(pid, 'SIGSTOP')
  try {
    await meanwhile()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

/** A file stands where the directory was: nothing in it can be read, written or made again, whoever asks. */
async function withoutCheckpoints(directory: string, meanwhile: () => Promise<void>): Promise<void> {
  const aside = `${directory}.aside`
  await rename(directory, aside)
  await writeFile(directory, '')
  try {
    await meanwhile()
  } finally {
    await rm(directory)
    await rename(aside, directory)
  }
}

/**
 * On Kafka the broker answers every Produce as one with a full disk does. With a log in files no process may write to
 * any file (RLIMIT_FSIZE, by prlimit of util-linux; Node leaves SIGXFSZ alone): as on a disk without room, and without
 * filling this machine's.
 */
async function diskFull({ cluster, brokers }: SoakSystem, meanwhile: () => Promise<void>): Promise<void> {
  const proxy = brokers?.proxy
  if (proxy !== undefined) {
    proxy.diskFull = true
    try {
      return await meanwhile()
    } finally {
      proxy.diskFull = false
    }
  }
  const processes = writers.flatMap((name) => cluster.processId(name) ?? [])
  const limit = (soft: string) =>
    Promise.all(processes.map((pid) => run('prlimit', [`--pid=${pid}`, `--fsize=${soft}:`]).catch(unlessGone)))
  await limit('0')
  try {
    await meanwhile()
  } finally {
    await limit('unlimited')
  }
}

function unlessGone(error: Error): void {
  if (!error.message.includes('No such process')) throw error
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return sleep(seconds * 1000, undefined, { signal }).catch(() => {})
}
