import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withLock } from './lock.js'
import { processStamp } from './processes.js'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'))
  file = join(folder, 'lock')
})
afterEach(() => rmSync(folder, { recursive: true }))

test('one works at a time, and the lock is gone afterwards', async () => {
  let inside = 0
  const most: number[] = []
  const work = async () => {
    most.push(++inside)
    await sleep(5)
    inside--
  }
  await Promise.all(Array.from({ length: 8 }, () => withLock(file, work)))
  expect(most).toEqual(Array.from({ length: 8 }, () => 1))
  expect(existsSync(file)).toBe(false)
})

test('a lock whose owner has died is taken away by exactly one', async () => {
  const dead = Number(execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }))
  writeFileSync(file, `${dead} 12345`)
  let inside = 0
  const work = async () => {
    expect(++inside).toBe(1)
    await sleep(5)
    inside--
  }
  await Promise.all(Array.from({ length: 8 }, () => withLock(file, work)))
})

test('a lock of an earlier process with the same pid is a dead one’s', async () => {
  writeFileSync(file, `${process.pid} another-start`)
  expect(await withLock(file, async () => 'mine')).toBe('mine')
})

test('a lock whose owner lives is not taken, and the error names the owner', async () => {
  writeFileSync(file, `${process.pid} ${processStamp(process.pid)}`)
  const waiting = withLock(file, async () => {}, { patienceMs: 100 })
  await expect(waiting).rejects.toMatchObject({ code: 'LOCKED', message: expect.stringContaining(`${process.pid}`) })
})
