import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { brokerProcesses, hasExited } from './processes.js'
import { closeAbandonedRuns, closeRun } from './test-run.js'
import { describeWithKafka } from './testing.js'

const compiled = new URL('../dist/index.js', import.meta.url).href
const sharing = `import { testBroker } from '${compiled}'; console.log((await testBroker()).pid)`
const owning = `import { startBroker } from '${compiled}'
const { pid, directory } = await startBroker(); console.log(JSON.stringify({ pid, directory })); setInterval(() => {}, 1000)`

describeWithKafka('brokers of a test run', () => {
  let root: string
  let run: string
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'kafka-runs-')))
    run = join(root, 'run')
    mkdirSync(run)
  })
  afterEach(async () => {
    await closeRun(run)
    rmSync(root, { recursive: true })
  })

  const inProcess = (code: string): ChildProcess =>
    spawn(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, KAFKA_DEV_RUN: run },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  const firstLine = async (child: ChildProcess): Promise<string> => {
    if (child.stdout === null) throw new Error('no output to read')
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    return line
  }

  test('two processes that ask at the same time share one, and the run that crashed loses it', async () => {
    const pids = await Promise.all([inProcess(sharing), inProcess(sharing)].map(firstLine))
    expect(pids[0]).toBe(pids[1])
    expect(brokerProcesses().filter((broker) => broker.run === run)).toHaveLength(1)
    const dead = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim()
    writeFileSync(join(run, 'owner'), `${dead} 12345`)
    await closeAbandonedRuns(root)
    expect(brokerProcesses().filter((broker) => broker.run === run)).toEqual([])
    expect(existsSync(run)).toBe(false)
  }, 120_000)

  test('one that a process started for itself ends with that process, even by SIGKILL', async () => {
    const child = inProcess(owning)
    const { pid, directory } = JSON.parse(await firstLine(child)) as { pid: number; directory: string }
    child.kill('SIGKILL')
    expect(await hasExited(pid, directory, 10_000)).toBe(true)
  }, 120_000)
})
