import { expect, test } from 'vitest'
import { unconnected } from '../connection.js'
import { settingsOf } from '../options.js'
import { GroupOfOne } from '../testing/group-of-one.js'
import { LeaseCandidate } from './lease-candidate.js'

const connection = unconnected(settingsOf({ bootstrapServers: ['127.0.0.1:1'] }))

test('a wait that is broken off ends at once, also while the log does not answer to the taking', async () => {
  const isTaking = Promise.withResolvers<void>()
  const cluster = new GroupOfOne([1], async (name) => {
    if (name !== 'InitProducerId') return
    isTaking.resolve()
    await new Promise(() => {})
  })
  const stop = new AbortController()
  const parts = {
    holder: 'me',
    producerOver: () => {
      throw new TypeError('never held')
    },
  }
  const waiting = new LeaseCandidate({ name: 'l', topics: [], signal: stop.signal }, connection, parts, cluster).wait()
  await isTaking.promise
  const reason = new Error('shutting down')
  stop.abort(reason)
  await expect(waiting).rejects.toBe(reason)
})
