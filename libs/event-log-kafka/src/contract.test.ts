import type { EventLog } from '@plateau/event-log'
import { eventLogContract } from '@plateau/event-log/contract-suite'
import { testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { openLog } from './testing/open-log.js'

describeWithKafka('on a real broker', () => {
  eventLogContract('kafka', {
    sessionTimeoutMs: 1500,
    settleMs: 30_000,
    open: async () => {
      const { bootstrapServers } = await testBroker()
      const logs: EventLog[] = []
      const another = async () => {
        const log = await openLog(bootstrapServers.join())
        logs.push(log)
        return log
      }
      return {
        log: await another(),
        another,
        opener: { module: new URL('./testing/open-log.ts', import.meta.url), argument: bootstrapServers.join() },
        cleanUp: async () => {
          await Promise.all(logs.map((log) => log.close()))
        },
      }
    },
  })
})
