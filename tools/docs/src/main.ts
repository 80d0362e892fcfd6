import { mkdirSync, writeFileSync } from 'node:fs'
import { captureSamples } from './capture.js'
import { documents } from './documents.js'
import { repositoryAt } from './repository.js'

const HELP = `Writes the documents of the public topics from their registry, the buf image and recorded samples, and docs/telemetry.md.

  node tools/docs/dist/main.js                  write them (npm run gen:docs)
  node tools/docs/dist/main.js --check          exit 1 and name those that are not up to date
  node tools/docs/dist/main.js --capture DIR    take the sample records from the embedded log in DIR, then write
`

const repository = repositoryAt('.')
const [flag, directory, ...rest] = process.argv.slice(2)

if (flag === '--capture' && directory !== undefined && rest.length === 0) {
  mkdirSync('docs/topics/samples', { recursive: true })
  for (const [slug, sample] of await captureSamples(directory)) {
    writeFileSync(`docs/topics/samples/${slug}.json`, `${JSON.stringify(sample, undefined, 2)}\n`)
  }
  write()
} else if (flag === '--check' && directory === undefined) {
  const stale = [...documents(repository)].filter(([path, text]) => repository.read(path) !== text)
  for (const [path] of stale) console.error(`${path} is not what the registries and the proto files say`)
  if (stale.length > 0) console.error('run `npm run gen:docs` and commit')
  process.exitCode = stale.length > 0 ? 1 : 0
} else if (flag === undefined) {
  write()
} else {
  console.error(HELP)
  process.exitCode = flag === '--help' ? 0 : 2
}

function write(): void {
  for (const [path, text] of documents(repository)) writeFileSync(path, text)
}
