import { describe } from 'vitest'
import { appendFacts } from './contract/append-facts.js'
import { cleanupFacts } from './contract/cleanup-facts.js'
import { groupFacts } from './contract/group-facts.js'
import { type ContractAdapter, factsOf } from './contract/harness.js'
import { leaseFacts } from './contract/lease-facts.js'
import { readerFacts } from './contract/reader-facts.js'
import { topicFacts } from './contract/topic-facts.js'

export type { ContractAdapter, OpenedLog } from './contract/harness.js'
export { type Program, startProgram } from './contract/start-program.js'

/**
 * What every event log adapter promises, as a list of facts. An adapter's own test calls this once:
 *
 *     eventLogContract('embedded', { open: async () => ({ log, another, opener, cleanUp }) })
 */
export function eventLogContract(name: string, adapter: ContractAdapter): void {
  describe(`the ${name} event log`, () => {
    const fact = factsOf(adapter)
    describe('topics', () => {
      topicFacts(fact)
    })
    describe('appending', () => {
      appendFacts(fact)
    })
    describe('reading', () => {
      readerFacts(fact)
    })
    describe('consumer groups', () => {
      groupFacts(fact)
    })
    describe('leases', () => {
      leaseFacts(fact)
    })
    describe('cleaning up', () => {
      cleanupFacts(fact)
    })
  })
}
