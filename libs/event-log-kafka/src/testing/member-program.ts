/**
 * A process of its own that is a member of a group and commits what it is handed, for facts about members that die.
 *
 *   member-program.ts BOOTSTRAP_SERVERS GROUP TOPIC SESSION_TIMEOUT_MS
 *
 * Says "has PARTITION OFFSET" for every record, once its batch is committed.
 */
import { openLog } from './open-log.js'

const [bootstrapServers = '', group = '', topic = '', sessionTimeoutMs = ''] = process.argv.slice(2)
const log = await openLog(bootstrapServers)
await log
  .consumer({ group, topics: [topic], sessionTimeoutMs: Number(sessionTimeoutMs) })
  .run(async ({ partition, records }, control) => {
    await control.commit((records.at(-1)?.offset ?? 0) + 1)
    for (const { offset } of records) process.stdout.write(`has ${partition} ${offset}\n`)
  })
