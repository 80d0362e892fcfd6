/**
 * The thread that builds drafts. It never enters the engine: a thread inside the engine cannot be ended without taking the
 * process with it, and this one may be ended at any moment.
 */
import { PlateauError } from '@plateau/contracts'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { DraftBuilder, largeArrays, type ReadableStore } from './build-draft.js'
import { ownedBuffers } from './owned-buffers.js'
import {
  receivedError,
  sentError,
  type FromBuildThread,
  type ThreadData,
  type ToBuildThread,
} from './thread-messages.js'

/** Requests that are being answered go first. Only Linux has priorities of threads; elsewhere it would be the process's. */
if (process.platform === 'linux') setPriority(0, 10)

const { builder: options, abandoned } = workerData as ThreadData
const builder = new DraftBuilder(options)
const reads = new Map<number, PromiseWithResolvers<Buffer>>()
let newestRead = 0

const store: ReadableStore = {
  read: (path, maxBytes) => {
    const read = ++newestRead
    const answer = Promise.withResolvers<Buffer>()
    reads.set(read, answer)
    tell({ say: 'read', read, path, maxBytes })
    return answer.promise
  },
}

parentPort!.on('message', (message: ToBuildThread) => {
  if (message.say === 'build') return void build(message)
  const answer = reads.get(message.read)
  reads.delete(message.read)
  if (message.say === 'file') {
    const { buffer, byteOffset, byteLength } = message.bytes
    answer?.resolve(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength))
  } else answer?.reject(receivedError(message.error))
})

async function build({ build, request }: Extract<ToBuildThread, { say: 'build' }>): Promise<void> {
  const stillWanted = () => {
    if (Atomics.load(abandoned, 0) >= build) throw new PlateauError('BUILD_ABANDONED', 'nobody waits for it any more')
  }
  try {
    const draft = await builder.build(store, request, stillWanted)
    tell({ say: 'built', build, draft }, ownedBuffers(largeArrays(draft)))
  } catch (error) {
    tell({ say: 'failed', build, error: sentError(error) })
  }
}

function tell(message: FromBuildThread, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer)
}
