import { fileStore, type CheckpointStore } from '@plateau/checkpoints'
import { PlateauError } from '@plateau/contracts'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchCheckpoints, type CheckpointsWatch } from './watch-checkpoints.js'

let directory: string
let stop: AbortController
let metrics: MetricRegistry
let failure: Error | undefined
let watch: CheckpointsWatch

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'plateau-watch-'))
  stop = new AbortController()
  metrics = new MetricRegistry()
  failure = undefined
  const files = fileStore(directory)
  const store: CheckpointStore = {
    where: files.where,
    put: (...of) => files.put(...of),
    read: (...of) => files.read(...of),
    versions: (...of) => (failure === undefined ? files.versions(...of) : Promise.reject(failure)),
    remove: (...of) => files.remove(...of),
    putState: (...of) => files.putState(...of),
    readState: (...of) => files.readState(...of),
    check: (...of) => (failure === undefined ? files.check(...of) : Promise.reject(failure)),
  }
  watch = watchCheckpoints(store, { metrics, logger: silentLogger, signal: stop.signal, clock: Date.now })
})
afterEach(() => {
  stop.abort()
  vi.useRealTimers()
  rmSync(directory, { recursive: true })
})

/** Of the metric with these labels. */
function shown(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const metric = [...metrics.declared()].find((declared) => declared.spec.name === name)
  if (metric === undefined || metric.kind === 'histogram') return undefined
  return [...metric.collect()].find((point) =>
    Object.entries(labels).every(([label, is]) => point.labels[label] === is),
  )?.value
}
const reachable = (): number | undefined => shown('plateau_checkpoint_store_reachable')
const counted = (operation: string, outcome: string): number | undefined =>
  shown('plateau_checkpoint_store_operations_total', { operation, outcome })

const away = new PlateauError('STORE_UNAVAILABLE', 'connection refused', { retryable: true })

test('calls are counted by what came of them, and answers of the store say that it is there', async () => {
  await watch.store.versions('default')
  await expect(watch.store.read('default/v00000001/manifest.json', 10)).rejects.toThrow(/not in the checkpoint store/)
  await watch.store.putState('default', 'trainer', Buffer.from('x'), 2)
  await expect(watch.store.putState('default', 'trainer', Buffer.from('x'), 1)).rejects.toThrow(/may not replace/)
  expect([counted('versions', 'ok'), counted('read', 'missing'), counted('put_state', 'refused')]).toEqual([1, 1, 1])
  expect([reachable(), watch.problem()]).toEqual([1, undefined])
})

test('a store that is away, or lets nobody in, is said until it does again', async () => {
  failure = away
  await expect(watch.store.versions('default')).rejects.toBe(away)
  expect([reachable(), watch.problem(), counted('versions', 'unavailable')]).toEqual([0, 'connection refused', 1])
  failure = new PlateauError('STORE_DENIED', 'our key may not', { retryable: true })
  await expect(watch.store.versions('default')).rejects.toBe(failure)
  expect([reachable(), watch.problem(), counted('versions', 'denied')]).toEqual([0, 'our key may not', 1])
  failure = undefined
  await watch.store.versions('default')
  expect([reachable(), watch.problem()]).toEqual([1, undefined])
})

test('a caller that gives up says nothing about the store', async () => {
  await watch.store.versions('default')
  await expect(watch.store.versions('default', AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  expect([reachable(), counted('versions', 'given_up')]).toEqual([1, 1])
})

test('where nobody asks it is looked at, at the beginning and ever again', async () => {
  await expect.poll(() => reachable()).toBe(1)
  stop.abort()
  vi.useFakeTimers()
  stop = new AbortController()
  let looks = 0
  const store = { check: () => Promise.resolve(void looks++) } as unknown as CheckpointStore
  watchCheckpoints(store, { metrics: new MetricRegistry(), logger: silentLogger, signal: stop.signal, clock: Date.now })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(looks).toBeGreaterThanOrEqual(4)
  const before = looks
  stop.abort()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(looks).toBe(before)
})
