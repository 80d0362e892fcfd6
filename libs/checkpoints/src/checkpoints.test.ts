import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  EVERY_TENANT,
  fileStore,
  generateSigningKey,
  openCheckpoint,
  readSigningKey,
  readVerifyingKey,
  retainNewest,
  sha256Hex,
  tenantDigest,
  writeCheckpoint,
  writeSigningKey,
  type CheckpointManifest,
  type CheckpointReference,
  type CheckpointStore,
} from './index.js'
import { canonicalBytes, signManifest } from './manifest.js'

let root: string
let store: CheckpointStore
const key = generateSigningKey()

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'plateau-checkpoints-'))
  store = fileStore(root)
})
afterEach(() => rm(root, { recursive: true, force: true }))

const about = (version: number): Omit<CheckpointManifest, 'schema' | 'files'> => ({
  lineage: 'default',
  version,
  parent: version - 1,
  kind: 'feature-fed-head',
  targetFingerprint: 'aa',
  tokenizerHash: 'bb',
  trainedThrough: [{ topic: 'windows', partition: 0, nextOffset: 17 }],
  policy: 'flatness(keep=0.5)',
  evaluation: { positions: 100, alpha: 0.4, parentAlpha: null, greedyMatch: 0.3 },
  trainedPositions: 1000,
  codeVersion: '0.1.0',
  createdAt: '2026-01-01T00:00:00.000Z',
})

const files = [
  { path: 'config.json', bytes: Buffer.from('{}') },
  { path: 'model.safetensors', bytes: Buffer.alloc(1000, 7) },
]

const expectations = {
  publicKeys: [key],
  lineage: 'default',
  targetFingerprint: 'aa',
  tokenizerHash: 'bb',
  minVersion: 1,
}

const write = (version: number): Promise<CheckpointReference> => writeCheckpoint(store, about(version), files, key)
const open = (reference: CheckpointReference, changes: Partial<typeof expectations & { maxBytes: number }> = {}) =>
  openCheckpoint(store, reference, { ...expectations, ...changes })
const withCode = (code: string) => expect.objectContaining({ code })

/** Writes a manifest of our choice with a good signature: what a careless or hostile holder of the key could do. */
async function writeSigned(manifest: unknown): Promise<CheckpointReference> {
  const bytes = canonicalBytes(manifest as CheckpointManifest)
  await store.put('default', 9, [
    ...files,
    { path: 'manifest.json', bytes },
    { path: 'manifest.json.sig', bytes: signManifest(bytes, key) },
  ])
  return {
    lineage: 'default',
    version: 9,
    manifestPath: 'default/v00000009/manifest.json',
    manifestSha256: sha256Hex(bytes),
  }
}

describe('a checkpoint', () => {
  test('comes back as it was written', async () => {
    const opened = await open(await write(3))
    expect(opened.manifest).toMatchObject(about(3))
    expect(opened.files.get('model.safetensors')).toEqual(files[1]!.bytes)
    expect([...opened.files.keys()]).toEqual(['config.json', 'model.safetensors'])
  })

  test('says whose windows are in it, and nobody can say otherwise', async () => {
    const tenants = ['', 'acme'].map(tenantDigest).toSorted()
    const named = { ...about(9), gradientTenants: tenants, sumTenants: [EVERY_TENANT] }
    const reference = await writeCheckpoint(store, named, files, key)
    expect((await open(reference)).manifest).toMatchObject(named)
    const path = join(root, 'default/v00000009/manifest.json')
    const changed = Buffer.from((await readFile(path, 'utf8')).replace(tenants[0]!, '0'.repeat(16)))
    await writeFile(path, changed)
    await expect(open({ ...reference, manifestSha256: sha256Hex(changed) })).rejects.toEqual(
      withCode('CHECKPOINT_SIGNATURE_INVALID'),
    )
  })

  test('that was written before tenants were noted opens, and says that it does not know them', async () => {
    const { manifest } = await open(await write(3))
    expect([manifest.gradientTenants, manifest.sumTenants]).toEqual([undefined, undefined])
  })

  test('is written whole: nothing else is left in the folder', async () => {
    await write(1)
    expect(await readdir(join(root, 'default'))).toEqual(['v00000001'])
  })

  test('is never replaced', async () => {
    await write(2)
    await expect(write(2)).rejects.toEqual(withCode('CHECKPOINT_EXISTS'))
    expect(await readdir(join(root, 'default'))).toEqual(['v00000002'])
  })

  test('of which a writer died halfway is not a version', async () => {
    await write(1)
    await mkdir(join(root, 'default', '.incoming-x'), { recursive: true })
    expect(await store.versions('default')).toEqual([1])
  })

  test('with one changed byte is refused by its digest', async () => {
    const reference = await write(1)
    const path = join(root, 'default/v00000001/model.safetensors')
    const bytes = await readFile(path)
    bytes[500]! ^= 1
    await writeFile(path, bytes)
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_FILE_DIGEST'))
  })

  test('with a truncated or grown file is refused by its size', async () => {
    const reference = await write(1)
    const path = join(root, 'default/v00000001/model.safetensors')
    await writeFile(path, Buffer.alloc(999, 7))
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_FILE_SIZE'))
    await writeFile(path, Buffer.alloc(1001, 7))
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_TOO_LARGE'))
    await rm(path)
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_NOT_FOUND'))
  })

  test('with a changed manifest is refused, announced digest or not', async () => {
    const reference = await write(1)
    const path = join(root, 'default/v00000001/manifest.json')
    const changed = Buffer.from(
      (await readFile(path, 'utf8')).replace('"trainedPositions":1000', '"trainedPositions":9999'),
    )
    await writeFile(path, changed)
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_MANIFEST_DIGEST'))
    await expect(open({ ...reference, manifestSha256: sha256Hex(changed) })).rejects.toEqual(
      withCode('CHECKPOINT_SIGNATURE_INVALID'),
    )
  })

  test('without a signature, or with one of an unknown key, is refused', async () => {
    const reference = await write(1)
    await expect(open(reference, { publicKeys: [generateSigningKey()] })).rejects.toEqual(
      withCode('CHECKPOINT_KEY_UNKNOWN'),
    )
    const path = join(root, 'default/v00000001/manifest.json.sig')
    await writeFile(path, 'nonsense')
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_SIGNATURE_INVALID'))
    await rm(path)
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_UNSIGNED'))
  })

  test('any of several trusted keys will do, so that keys can be replaced', async () => {
    const opened = await open(await write(1), { publicKeys: [generateSigningKey(), key] })
    expect(opened.manifest.version).toBe(1)
  })

  test.each([
    [{ lineage: 'other' }, 'CHECKPOINT_LINEAGE'],
    [{ targetFingerprint: 'cc' }, 'CHECKPOINT_TARGET_MISMATCH'],
    [{ tokenizerHash: 'cc' }, 'CHECKPOINT_TOKENIZER_MISMATCH'],
    [{ minVersion: 4 }, 'CHECKPOINT_ROLLBACK'],
    [{ maxBytes: 100 }, 'CHECKPOINT_TOO_LARGE'],
  ])('not meant for this reader (%o) is refused with %s', async (changes, code) => {
    await expect(open(await write(3), changes)).rejects.toEqual(withCode(code))
  })

  test('announced under another version number is refused', async () => {
    const reference = await write(3)
    await expect(open({ ...reference, version: 4 })).rejects.toEqual(withCode('CHECKPOINT_VERSION'))
  })

  test.each(['../../etc/passwd', '/etc/passwd', 'a/../../b', 'a\\b', '.hidden', 'manifest.json', 'a//b', ''])(
    'whose manifest names the file %j is refused',
    async (path) => {
      const reference = await writeSigned({
        schema: 1,
        ...about(9),
        files: [{ path, bytes: 2, sha256: 'a'.repeat(64) }],
      })
      await expect(open(reference)).rejects.toEqual(
        withCode(path === '' ? 'CHECKPOINT_MANIFEST_INVALID' : 'CHECKPOINT_PATH_UNSAFE'),
      )
    },
  )

  test.each([
    ['schema', 2],
    ['version', 0],
    ['files', 'all'],
    ['evaluation', { positions: 1, alpha: 7 }],
    ['createdAt', 'yesterday'],
    ['gradientTenants', ['acme']],
    ['gradientTenants', ['*', tenantDigest('acme')]],
    ['gradientTenants', [tenantDigest('acme'), tenantDigest('')].toSorted().toReversed()],
    ['sumTenants', 'everybody'],
    ['surprise', true],
  ])('whose manifest has a bad %s is refused with the field named', async (field, value) => {
    const reference = await writeSigned({ schema: 1, ...about(9), files: [], [field]: value })
    await expect(open(reference)).rejects.toEqual(
      expect.objectContaining({ code: 'CHECKPOINT_MANIFEST_INVALID', message: expect.stringContaining(field) }),
    )
  })

  test('is not read through a link that leads out of the store', async () => {
    const reference = await write(1)
    const outside = join(await mkdtemp(join(tmpdir(), 'plateau-outside-')), 'model.safetensors')
    await writeFile(outside, files[1]!.bytes)
    const path = join(root, 'default/v00000001/model.safetensors')
    await rm(path)
    await symlink(outside, path)
    await expect(open(reference)).rejects.toEqual(withCode('CHECKPOINT_PATH_UNSAFE'))
    await expect(open({ ...reference, manifestPath: '../x/manifest.json' })).rejects.toEqual(
      withCode('CHECKPOINT_PATH_UNSAFE'),
    )
  })

  test('that is old is removed, the newest and the named ones stay', async () => {
    for (let version = 1; version <= 6; version++) await write(version)
    expect(await retainNewest(store, 'default', 2, [3])).toEqual([1, 2, 4])
    expect(await store.versions('default')).toEqual([3, 5, 6])
  })
})

describe('a state', () => {
  test('is replaced whole, and absent before the first write', async () => {
    expect(await store.readState('default', 'trainer')).toBeUndefined()
    await store.putState('default', 'trainer', Buffer.from('one'), 0)
    await store.putState('default', 'trainer', Buffer.from('two'), 0)
    expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('two'))
    expect(await readdir(join(root, 'default', 'state'))).toEqual(['trainer'])
    expect(await store.versions('default')).toEqual([])
  })

  test('of a later writer takes the place of an earlier one’s, and is the one that is read', async () => {
    await store.putState('default', 'trainer', Buffer.from('before there were epochs'), 0)
    await store.putState('default', 'trainer', Buffer.from('second'), 2)
    await store.putState('default', 'trainer.other', Buffer.from('another state'), 0)
    expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('second'))
    await store.putState('default', 'trainer', Buffer.from('tenth'), 10)
    expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('tenth'))
    expect(await readdir(join(root, 'default', 'state'))).toEqual(['trainer.e0000000010', 'trainer.other'])
  })

  test('of a writer that was replaced is refused; where it comes in between, nobody reads it', async () => {
    await store.putState('default', 'trainer', Buffer.from('new'), 3)
    const stale = store.putState('default', 'trainer', Buffer.from('stale'), 2)
    await expect(stale).rejects.toEqual(withCode('STATE_FENCED'))
    await writeFile(join(root, 'default', 'state', 'trainer.e0000000002'), 'written before it was refused')
    expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('new'))
    await store.putState('default', 'trainer', Buffer.from('newer'), 3)
    expect(await readdir(join(root, 'default', 'state'))).toEqual(['trainer.e0000000003'])
  })
})

describe('a signing key', () => {
  test('is readable by its owner only, comes back, and is never overwritten', async () => {
    const file = join(root, 'keys', 'signing.pem')
    await writeSigningKey(file, key)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await readSigningKey(file)).id).toBe(key.id)
    expect((await readVerifyingKey(`${file}.pub`)).id).toBe(key.id)
    await expect(writeSigningKey(file, generateSigningKey())).rejects.toEqual(withCode('SIGNING_KEY_NOT_WRITTEN'))
  })

  test('that others can read, that is missing or that is no key is refused', async () => {
    const file = join(root, 'signing.pem')
    await expect(readSigningKey(file)).rejects.toEqual(withCode('SIGNING_KEY_UNREADABLE'))
    await writeSigningKey(file, key)
    await chmod(file, 0o644)
    await expect(readSigningKey(file)).rejects.toEqual(withCode('SIGNING_KEY_EXPOSED'))
    await expect(readSigningKey(`${file}.pub`)).rejects.toEqual(
      expect.objectContaining({ code: 'SIGNING_KEY_EXPOSED' }),
    )
    await chmod(`${file}.pub`, 0o600)
    await expect(readSigningKey(`${file}.pub`)).rejects.toEqual(withCode('SIGNING_KEY_INVALID'))
  })
})

test('a tenant is said by the beginning of its digest', () => {
  expect(tenantDigest('')).toBe('e3b0c44298fc1c14')
  expect(tenantDigest('acme')).not.toBe(tenantDigest('acm'))
  expect(tenantDigest('müller')).toMatch(/^[0-9a-f]{16}$/)
})
