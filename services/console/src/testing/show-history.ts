import { generateSigningKey, writeSigningKey } from '@plateau/checkpoints'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { join } from 'node:path'
import { writeHistory } from './write-history.js'

/**
 * Fills a directory with a history to look at the console by: `node dist/testing/show-history.js DIRECTORY [MINUTES] [PER_VERSION]`, then the
 * console with PLATEAU_EVENT_LOG=embedded:DIRECTORY/log PLATEAU_CHECKPOINTS=DIRECTORY/checkpoints.
 */
const [, , directory, minutes = '70', perVersion = '4'] = process.argv
if (directory === undefined) throw new RangeError('name a directory')
const key = generateSigningKey()
await writeSigningKey(join(directory, 'signing.pem'), key)
const log = openEmbeddedEventLog(join(directory, 'log'))
const about = { seed: 1, endMs: Date.now(), minutes: Number(minutes), minutesPerVersion: Number(perVersion) }
await writeHistory(log, { directory: join(directory, 'checkpoints'), key }, about)
await log.close()
