import { expect, test } from 'vitest'
import { parseJavaMajor } from './java.js'
import { serverProperties } from './server-properties.js'
import type { NodeSettings } from './settings.js'

const settings: NodeSettings = {
  nodeId: 1,
  clusterId: 'c',
  ports: { client: 1, controller: 2, internal: 3 },
  voters: [{ nodeId: 1, controllerPort: 2, directoryId: 'd' }],
  security: 'plaintext',
  users: [],
  heapMb: 512,
  extraProperties: {},
}

test('everything listens on loopback', () => {
  expect(serverProperties('/x', settings)).toContain(
    'listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2,INTERNAL://127.0.0.1:3\n',
  )
})

test('extra properties replace ours', () => {
  const text = serverProperties('/x', { ...settings, extraProperties: { 'auto.create.topics.enable': 'true' } })
  expect(text.match(/^auto.create.*$/gm)).toEqual(['auto.create.topics.enable=true'])
})

test('what Java would read differently is escaped, and a line break is refused', () => {
  expect(serverProperties('/é', settings)).toContain('log.dirs=/\\u00e9/data\n')
  expect(() => serverProperties('/x', { ...settings, extraProperties: { a: 'b\nc=d' } })).toThrow(/line break/)
})

test('one node keeps one replica; of three, two must be in sync', () => {
  const voters = [1, 2, 3].map((nodeId) => ({ nodeId, controllerPort: nodeId, directoryId: 'd' }))
  expect(serverProperties('/x', settings)).toContain('default.replication.factor=1\nmin.insync.replicas=1\n')
  expect(serverProperties('/x', { ...settings, voters })).toContain(
    'default.replication.factor=3\nmin.insync.replicas=2\n',
  )
})

test.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['java version "1.8.0_392"', 8],
  ['openjdk version "21" 2023-09-19', 21],
  ['command not found', 0],
])('reads the Java version of %s', (text, major) => expect(parseJavaMajor(text)).toBe(major))
