/** A process that loads one draft, for tests of how it ends. */
import { fileStore } from '@plateau/checkpoints'
import { DraftCheckpoint } from '@plateau/contracts'
import { readDraftTarget } from '@plateau/model-files'
import { silentLogger } from '@plateau/telemetry'
import { createPublicKey } from 'node:crypto'
import { DraftLoader } from '../load-draft.js'

export interface LoadAndEnd {
  readonly mode: 'end in the middle' | 'end after it'
  readonly model: string
  readonly root: string
  readonly announced: unknown
  readonly key: { readonly id: string; readonly pem: string }
}

const { mode, model, root, announced, key } = JSON.parse(process.argv[2]!) as LoadAndEnd
const store = fileStore(root)
let reads = 0
const loader = new DraftLoader({
  store: {
    ...store,
    read: (path, maxBytes) => {
      // Signature and weights are read after the manifest: the thread has begun.
      if (mode === 'end in the middle' && ++reads > 2) process.exit(0)
      return store.read(path, maxBytes)
    },
  },
  verifyingKey: { id: key.id, publicKey: createPublicKey(key.pem) },
  model: await readDraftTarget(model),
  maxProposal: 4,
  logger: silentLogger,
})
const draft = await loader.load('default', DraftCheckpoint.fromJSON(announced), 1)
process.stdout.write(`loaded ${draft.version}\n`)
await draft.release()
