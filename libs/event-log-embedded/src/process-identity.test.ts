import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { isCertainlyDead, thisProcess } from './process-identity.js'

const self = thisProcess()

test('this process is alive; one with its pid and another start time is dead', () => {
  expect(isCertainlyDead(self, self)).toBe(false)
  expect(isCertainlyDead({ ...self, startedAt: '1' }, self)).toBe(true)
})

test('a process that ended is dead, and nothing is certain about one of another boot or container', async () => {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  const ended = { ...self, pid: child.pid!, startedAt: '12345' }
  expect(isCertainlyDead(ended, self)).toBe(true)
  expect(isCertainlyDead({ ...ended, space: 'elsewhere' }, self)).toBe(false)
})

test('without start times, as on systems other than Linux, a signal tells', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  const identity = { ...self, pid: child.pid!, startedAt: '' }
  expect(isCertainlyDead(identity, self)).toBe(false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(isCertainlyDead(identity, self)).toBe(true)
})
