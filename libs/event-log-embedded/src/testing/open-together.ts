/**
 * Opens one new file after another, each at the same moment as every other process with the same arguments:
 *
 *   open-together.ts DIR FILES START_MS     file n at START_MS + 8 n by the clock; then "opened FILES"
 */
import { join } from 'node:path'
import { Database } from '../database.js'

const BETWEEN_MS = 8

const [directory = '', files = '', startMs = ''] = process.argv.slice(2)
for (let n = 0; n < Number(files); n++) {
  while (Date.now() < Number(startMs) + BETWEEN_MS * n) continue
  new Database(join(directory, `${n}.db`), 'CREATE TABLE IF NOT EXISTS t (a)', { synchronous: 'normal' }).close()
}
process.stdout.write(`opened ${files}\n`)
