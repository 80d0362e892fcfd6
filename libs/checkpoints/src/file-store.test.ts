import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { checkpointStoreContract, type StoreUnderTest } from './contract-suite.js'
import { fileStore } from './file-store.js'
import { withCode } from './testing.js'

async function openPlace(): Promise<StoreUnderTest & { readonly root: string }> {
  const root = await mkdtemp(join(tmpdir(), 'plateau-checkpoints-'))
  return {
    root,
    store: fileStore(root),
    another: () => fileStore(root),
    outside: {
      write: async (path, bytes) => {
        await mkdir(dirname(join(root, path)), { recursive: true })
        await writeFile(join(root, path), bytes)
      },
      remove: (path) => rm(join(root, path)),
      paths: async () => {
        const entries = await readdir(root, { recursive: true, withFileTypes: true })
        const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
        return paths.map((path) => path.slice(root.length + 1)).toSorted()
      },
    },
    leaveUnfinished: async (lineage) => {
      await mkdir(join(root, lineage, '.incoming-x'), { recursive: true })
      await writeFile(join(root, lineage, '.incoming-x', 'model.safetensors'), 'half of i')
    },
    cleanUp: () => rm(root, { recursive: true, force: true }),
  }
}

checkpointStoreContract('file', openPlace)

test('a folder that cannot be used is a failure that may pass', async () => {
  const { root, cleanUp } = await openPlace()
  const file = join(root, 'a-file')
  await writeFile(file, '')
  const store = fileStore(join(file, 'store'))
  const mayPass = (code: string): unknown => expect.objectContaining({ code, retryable: true })
  await expect(store.check('write')).rejects.toEqual(mayPass('CHECKPOINT_NOT_WRITTEN'))
  await expect(store.putState('default', 'trainer', Buffer.alloc(1), 0)).rejects.toEqual(mayPass('STATE_NOT_WRITTEN'))
  const manifest = [{ path: 'manifest.json', bytes: Buffer.alloc(1) }]
  await expect(store.put('default', 1, manifest)).rejects.toEqual(mayPass('CHECKPOINT_NOT_WRITTEN'))
  await cleanUp()
})

test('nothing is read through a link that leads out of the store', async () => {
  const { root, store, cleanUp } = await openPlace()
  const outside = await mkdtemp(join(tmpdir(), 'plateau-outside-'))
  await writeFile(join(outside, 'secret'), 'secret')
  await symlink(join(outside, 'secret'), join(root, 'link'))
  await expect(store.read('link', 100)).rejects.toEqual(withCode('CHECKPOINT_PATH_UNSAFE'))
  await rm(outside, { recursive: true })
  await cleanUp()
})
