import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog } from '@plateau/event-log'
import { eventLogContract } from '@plateau/event-log/contract-suite'
import { openEmbeddedEventLog } from './index.js'

eventLogContract('embedded', {
  sessionTimeoutMs: 400,
  settleMs: 10_000,
  open: async () => {
    const directory = mkdtempSync(join(tmpdir(), 'plateau-log-'))
    const logs: EventLog[] = []
    const another = async () => {
      const log = openEmbeddedEventLog(directory, { maintenanceIntervalMs: 20, compactionLagMs: 0 })
      logs.push(log)
      return log
    }
    return {
      log: await another(),
      another,
      opener: { module: new URL('./testing/open-log.ts', import.meta.url), argument: directory },
      cleanUp: async () => {
        await Promise.all(logs.map((log) => log.close()))
        rmSync(directory, { recursive: true })
      },
    }
  },
})
