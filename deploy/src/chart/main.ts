/** `npm run gen:chart`: writes what the repository keeps of the chart that is made from something else. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { kafkaTopicsFile } from './kafka-topics.js'
import { chartDirectory, manifestsDirectory } from '../paths.js'
import { plainExamples, plainManifests } from './plain-manifests.js'

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  console.log(path)
}

write(join(chartDirectory, 'files/kafka-topics.yaml'), kafkaTopicsFile())
for (const [folder, example] of Object.entries(plainExamples)) {
  for (const [name, text] of Object.entries(plainManifests(example)))
    write(join(manifestsDirectory, folder, name), text)
}
