import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TrainingWindow } from '@plateau/contracts'
import { seededRandom } from '@plateau/speculation'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../testing/temporary-log.js'
import { tokenWindow } from '../testing/windows.js'
import { WindowStore } from './window-store.js'

function trainingWindow(sampleId: string, windowIndex = 0, tokens = 100): TrainingWindow {
  const tokenIds = Array.from({ length: tokens }, (_, i) => i)
  const window = { ...tokenWindow(sampleId, tokenIds), windowIndex, domain: sampleId.slice(0, 1) }
  return TrainingWindow.fromPartial({ window, weights: tokenIds.map(() => 0.5) })
}

async function names(store: WindowStore, random?: () => number): Promise<string[]> {
  const found: string[] = []
  for await (const { window } of store.read(random)) found.push(`${window!.sampleId}/${window!.windowIndex}`)
  return found
}

test('another process reads what was written, in the order in which it was added', async () => {
  const directory = temporaryDirectory()
  const store = await WindowStore.open(directory)
  for (let i = 0; i < 100; i++) await store.add(trainingWindow(`${'ab'[i % 2]}${i}`))
  await store.flush()
  expect(readdirSync(directory).length).toBe(3)
  const again = await WindowStore.open(directory)
  expect(await names(again)).toEqual(Array.from({ length: 100 }, (_, i) => `${'ab'[i % 2]}${i}/0`))
  expect(again.positions).toEqual(
    new Map([
      ['a', 5000],
      ['b', 5000],
    ]),
  )
  expect(again.samples.size).toBe(100)
})

test('a window that is there already changes nothing, also in a later process', async () => {
  const directory = temporaryDirectory()
  const store = await WindowStore.open(directory)
  await store.add(trainingWindow('a', 0))
  await store.add(trainingWindow('a', 1))
  await store.add(trainingWindow('a', 0))
  await store.flush()
  const again = await WindowStore.open(directory)
  await again.add(trainingWindow('a', 1))
  await again.flush()
  expect(await names(again)).toEqual(['a/0', 'a/1'])
  expect(again.totalPositions).toBe(200)
})

test('what a killed process was writing is as if it had not begun', async () => {
  const directory = temporaryDirectory()
  const store = await WindowStore.open(directory)
  await store.add(trainingWindow('a'))
  await store.flush()
  const whole = readFileSync(join(directory, readdirSync(directory)[0]!))
  writeFileSync(join(directory, 'windows-000001.bin.partial'), whole.subarray(0, 77))
  const again = await WindowStore.open(directory)
  expect(await names(again)).toEqual(['a/0'])
  await again.add(trainingWindow('b'))
  await again.flush()
  expect(await names(await WindowStore.open(directory))).toEqual(['a/0', 'b/0'])
})

test('a damaged file is named, with the place', async () => {
  const directory = temporaryDirectory()
  const store = await WindowStore.open(directory)
  await store.add(trainingWindow('a'))
  await store.flush()
  const path = join(directory, readdirSync(directory)[0]!)
  writeFileSync(path, readFileSync(path).subarray(0, -1))
  await expect(WindowStore.open(directory)).rejects.toThrow(`${path} is damaged at byte 0`)
})

test('in random order every window comes once', async () => {
  const store = await WindowStore.open(temporaryDirectory())
  for (let i = 0; i < 200; i++) await store.add(trainingWindow(`s${i}`))
  await store.flush()
  const ordered = await names(store)
  const shuffled = await names(store, seededRandom(3))
  expect(shuffled).not.toEqual(ordered)
  expect(shuffled.toSorted()).toEqual(ordered.toSorted())
})
