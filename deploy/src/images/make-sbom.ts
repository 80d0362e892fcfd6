/**
 * `npm run sbom -- [--out FILE] [--tree DIRECTORY] [--root DIRECTORY]`: the image's bill of materials. Without a tree it
 * makes one; with the image's root file system it lists Node.js and Debian's packages too, as the Dockerfile does.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { billOfMaterials, licenseOf } from './bill-of-materials.ts'
import { makeProductionTree } from './production-tree.ts'

const { values } = parseArgs({
  options: { out: { type: 'string' }, tree: { type: 'string' }, root: { type: 'string' } },
})
const repository = fileURLToPath(new URL('../../..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'plateau-sbom-'))
try {
  const tree = values.tree ?? join(scratch, 'tree')
  if (values.tree === undefined) makeProductionTree({ repository, out: tree, arch: 'amd64' })
  const bill = billOfMaterials({ repository, tree, root: values.root })
  const json = `${JSON.stringify(bill, undefined, 1)}\n`
  if (values.out === undefined) process.stdout.write(json)
  else writeFileSync(values.out, json)
  process.stderr.write(summary(bill.components.map(licenseOf)))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

function summary(licenses: readonly string[]): string {
  const counts = Map.groupBy(licenses, (license) => license)
  const lines = [...counts].toSorted(([, a], [, b]) => b.length - a.length)
  return [`${licenses.length} components`, ...lines.map(([license, all]) => `  ${all.length} ${license}`), ''].join(
    '\n',
  )
}
