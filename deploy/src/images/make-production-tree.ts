/** `node deploy/src/images/make-production-tree.ts --out DIRECTORY [--arch amd64|arm64]`: what the Dockerfile packs. */
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { makeProductionTree } from './production-tree.ts'

const { values } = parseArgs({ options: { out: { type: 'string' }, arch: { type: 'string', default: 'amd64' } } })
const { out, arch } = values
if (out === undefined || (arch !== 'amd64' && arch !== 'arm64')) {
  process.stderr.write('usage: make-production-tree.ts --out DIRECTORY [--arch amd64|arm64]\n')
  process.exitCode = 2
} else {
  makeProductionTree({ repository: fileURLToPath(new URL('../../..', import.meta.url)), out, arch })
}
