/**
 * What every checkpoint store promises, as a list of facts. A store's own test calls this once:
 *
 *     checkpointStoreContract('file', async () => ({ store, another, outside, leaveUnfinished, cleanUp }))
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { retainNewest, type CheckpointStore } from './checkpoint-store.js'
import { sha256Hex } from './manifest.js'
import { openCheckpoint } from './open-checkpoint.js'
import { writeCheckpoint, type CheckpointReference } from './publish.js'
import { generateSigningKey } from './signing-keys.js'
import { aboutVersion, expectations, files, withCode } from './testing.js'

export interface StoreUnderTest {
  readonly store: CheckpointStore
  /** The same place, as another process opens it. */
  readonly another: () => CheckpointStore
  /** Somebody who may do everything there, and knows nothing of our rules. Paths are relative to the store's root. */
  readonly outside: {
    write(path: string, bytes: Uint8Array): Promise<void>
    remove(path: string): Promise<void>
    paths(): Promise<string[]>
  }
  /** What a writer leaves that died in the middle of a version. */
  readonly leaveUnfinished: (lineage: string, version: number) => Promise<void>
  readonly cleanUp: () => Promise<void>
}

export function checkpointStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`the ${name} checkpoint store`, () => {
    let place: StoreUnderTest
    let store: CheckpointStore
    const key = generateSigningKey()

    beforeEach(async () => {
      place = await open()
      store = place.store
    })
    afterEach(() => place.cleanUp())

    const write = (version: number, into = store, content = files): Promise<CheckpointReference> =>
      writeCheckpoint(into, aboutVersion(version), content, key)
    const read = (reference: CheckpointReference) =>
      openCheckpoint(place.another(), reference, { ...expectations, publicKeys: [key] })

    describe('a version', () => {
      const model = 'default/v00000001/model.safetensors'
      const manifest = 'default/v00000001/manifest.json'

      test('comes back as it was written, in another process', async () => {
        const opened = await read(await write(3))
        expect(opened.manifest).toMatchObject(aboutVersion(3))
        expect([...opened.files]).toEqual(files.map(({ path, bytes }) => [path, bytes]))
        expect(await place.another().versions('default')).toEqual([3])
      })

      test('is its files, manifest and signature: nothing else is left beside them', async () => {
        await write(1)
        const names = ['config.json', 'manifest.json', 'manifest.json.sig', 'model.safetensors']
        expect(await place.outside.paths()).toEqual(names.map((path) => `default/v00000001/${path}`))
      })

      test('is never replaced', async () => {
        const reference = await write(2)
        const other = [{ path: 'model.safetensors', bytes: Buffer.from('another') }]
        await expect(write(2, place.another(), other)).rejects.toEqual(withCode('CHECKPOINT_EXISTS'))
        expect((await read(reference)).files.get('model.safetensors')).toEqual(files[1]!.bytes)
      })

      test('that several write at once is the one of a single writer, whole, and the others are told', async () => {
        const writers = Array.from({ length: 5 }, (_, i) => [
          { path: 'model.safetensors', bytes: Buffer.alloc(50_000, i) },
        ])
        const written = await Promise.allSettled(writers.map((content) => write(1, place.another(), content)))
        const won = written.filter((result) => result.status === 'fulfilled')
        const lost = written.filter((result) => result.status === 'rejected')
        expect(won).toHaveLength(1)
        expect(lost.map(({ reason }) => (reason as { code: string }).code)).toEqual(Array(4).fill('CHECKPOINT_EXISTS'))
        const opened = await read(won[0]!.value)
        expect(opened.files.get('model.safetensors')).toEqual(writers[written.indexOf(won[0]!)]![0]!.bytes)
      })

      test('of which a writer died halfway is not a version, and does not stand in the way of the next', async () => {
        await write(1)
        await place.leaveUnfinished('default', 2)
        expect(await store.versions('default')).toEqual([1])
        await write(3)
        expect(await store.versions('default')).toEqual([1, 3])
      })

      test('with one changed byte is refused by its digest', async () => {
        const reference = await write(1)
        const bytes = Buffer.from(files[1]!.bytes)
        bytes[500]! ^= 1
        await place.outside.write(model, bytes)
        await expect(read(reference)).rejects.toEqual(withCode('CHECKPOINT_FILE_DIGEST'))
      })

      test('with a truncated, a grown or a missing file is refused by its size', async () => {
        const reference = await write(1)
        await place.outside.write(model, Buffer.alloc(999, 7))
        await expect(read(reference)).rejects.toEqual(withCode('CHECKPOINT_FILE_SIZE'))
        await place.outside.write(model, Buffer.alloc(1001, 7))
        await expect(read(reference)).rejects.toEqual(withCode('CHECKPOINT_TOO_LARGE'))
        await place.outside.remove(model)
        await expect(read(reference)).rejects.toEqual(withCode('CHECKPOINT_NOT_FOUND'))
      })

      test('with a changed manifest is refused, announced digest or not', async () => {
        const reference = await write(1)
        const text = (await store.read(manifest, 10_000)).toString('utf8')
        const changed = Buffer.from(text.replace('"trainedPositions":1000', '"trainedPositions":9999'))
        await place.outside.write(manifest, changed)
        await expect(read(reference)).rejects.toEqual(withCode('CHECKPOINT_MANIFEST_DIGEST'))
        const announced = { ...reference, manifestSha256: sha256Hex(changed) }
        await expect(read(announced)).rejects.toEqual(withCode('CHECKPOINT_SIGNATURE_INVALID'))
      })

      test('without a signature is refused', async () => {
        const reference = await write(1)
        await place.outside.write(`${manifest}.sig`, Buffer.from('nonsense'))
        await expect(read(reference)).rejects.toEqual(withCode('CHECKPOINT_SIGNATURE_INVALID'))
        await place.outside.remove(`${manifest}.sig`)
        await expect(read(reference)).rejects.toEqual(withCode('CHECKPOINT_UNSIGNED'))
      })

      test('has a manifest and plain paths, or is not written', async () => {
        const noManifest = store.put('default', 1, files)
        await expect(noManifest).rejects.toEqual(withCode('CHECKPOINT_MANIFEST_INVALID'))
        for (const path of ['../out', '/etc/passwd', 'a/../../b', 'a\\b', '.hidden', 'a//b', '']) {
          const unsafe = store.put('default', 1, [
            { path, bytes: Buffer.alloc(1) },
            { path: 'manifest.json', bytes: Buffer.alloc(1) },
          ])
          await expect(unsafe).rejects.toEqual(withCode('CHECKPOINT_PATH_UNSAFE'))
        }
        await expect(store.put('../other', 1, files)).rejects.toEqual(withCode('LINEAGE_INVALID'))
        expect(await place.outside.paths()).toEqual([])
      })

      test('may hold folders', async () => {
        const nested = [{ path: 'a/b/c.bin', bytes: Buffer.from('deep') }]
        const reference = await write(1, store, nested)
        expect((await read(reference)).files.get('a/b/c.bin')).toEqual(Buffer.from('deep'))
        await store.remove('default', 1)
        expect(await place.outside.paths()).toEqual([])
      })

      test('may hold an empty file', async () => {
        const reference = await write(1, store, [{ path: 'empty', bytes: Buffer.alloc(0) }])
        expect((await read(reference)).files.get('empty')).toHaveLength(0)
      })

      test('that is old is removed, the newest and the named ones stay', async () => {
        for (let version = 1; version <= 6; version++) await write(version)
        expect(await retainNewest(store, 'default', 2, [3])).toEqual([1, 2, 4])
        expect(await store.versions('default')).toEqual([3, 5, 6])
        await store.remove('default', 1)
        expect(await store.versions('default')).toEqual([3, 5, 6])
      })

      test('of another lineage is another version', async () => {
        await write(1)
        expect(await store.versions('defaul')).toEqual([])
        expect(await store.versions('default2')).toEqual([])
      })

      test('that was given up is not there', async () => {
        const why = new Error('given up')
        await expect(store.put('default', 1, versionFiles, AbortSignal.abort(why))).rejects.toBe(why)
        expect(await store.versions('default')).toEqual([])
      })
    })

    describe('reading', () => {
      test('stops at the size that is allowed, and hands over a buffer of its own', async () => {
        await place.outside.write('default/file', Buffer.alloc(1000, 7))
        await expect(store.read('default/file', 999)).rejects.toEqual(withCode('CHECKPOINT_TOO_LARGE'))
        const bytes = await store.read('default/file', 1000)
        expect(bytes).toEqual(Buffer.alloc(1000, 7))
        expect(bytes.buffer.byteLength).toBe(1000)
      })

      test.each(['../x', '/etc/passwd', 'a/../../b', '..', ''])(
        'of %j, which leads out of the store, is refused',
        async (path) => {
          await expect(store.read(path, 10)).rejects.toEqual(withCode('CHECKPOINT_PATH_UNSAFE'))
        },
      )

      test('of what is not there, or given up, says so', async () => {
        await expect(store.read('default/v00000001/manifest.json', 10)).rejects.toEqual(
          expect.objectContaining({ code: 'CHECKPOINT_NOT_FOUND', retryable: false }),
        )
        const why = new Error('given up')
        await expect(store.read('default/file', 10, AbortSignal.abort(why))).rejects.toBe(why)
      })
    })

    describe('a state', () => {
      test('is replaced whole, and absent before the first write', async () => {
        expect(await store.readState('default', 'trainer')).toBeUndefined()
        await store.putState('default', 'trainer', Buffer.from('one'), 0)
        await store.putState('default', 'trainer', Buffer.from('two'), 0)
        expect(await place.another().readState('default', 'trainer')).toEqual(Buffer.from('two'))
        expect(await place.outside.paths()).toEqual(['default/state/trainer'])
        expect(await store.versions('default')).toEqual([])
      })

      test('of a later writer takes the place of an earlier one’s, and is the one that is read', async () => {
        await store.putState('default', 'trainer', Buffer.from('before there were epochs'), 0)
        await store.putState('default', 'trainer', Buffer.from('second'), 2)
        await store.putState('default', 'trainer.other', Buffer.from('another state'), 0)
        expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('second'))
        await place.another().putState('default', 'trainer', Buffer.from('tenth'), 10)
        expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('tenth'))
        const left = ['trainer.e0000000010', 'trainer.other']
        expect(await place.outside.paths()).toEqual(left.map((name) => `default/state/${name}`))
      })

      test('of a writer that was replaced is refused; where it comes in between, nobody reads it', async () => {
        await place.another().putState('default', 'trainer', Buffer.from('new'), 3)
        const stale = store.putState('default', 'trainer', Buffer.from('stale'), 2)
        await expect(stale).rejects.toEqual(
          expect.objectContaining({ code: 'STATE_FENCED', facts: expect.objectContaining({ latest: 3 }) }),
        )
        await place.outside.write('default/state/trainer.e0000000002', Buffer.from('written before it was refused'))
        expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('new'))
        await place.another().putState('default', 'trainer', Buffer.from('newer'), 3)
        expect(await place.outside.paths()).toEqual(['default/state/trainer.e0000000003'])
      })

      test('that nobody else writes survives many replacements at once', async () => {
        const texts = Array.from({ length: 5 }, (_, i) => `state ${i}`)
        await Promise.all(
          texts.map((text) => store.putState('default', 'trainer', Buffer.from(text), 1).catch(() => {})),
        )
        expect(texts).toContain((await store.readState('default', 'trainer'))?.toString())
      })

      test('has a plain name', async () => {
        for (const name of ['../x', 'a/b', '', 'A']) {
          await expect(store.putState('default', name, Buffer.alloc(1), 0)).rejects.toEqual(
            withCode('CHECKPOINT_PATH_UNSAFE'),
          )
        }
      })
    })

    test('is looked at, for reading and for writing, and left as it was', async () => {
      await store.check('read')
      await store.check('write')
      expect(await place.outside.paths()).toEqual([])
    })
  })
}

const versionFiles = [...files, { path: 'manifest.json', bytes: Buffer.from('{}') }]
