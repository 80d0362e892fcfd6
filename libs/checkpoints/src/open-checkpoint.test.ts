import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
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
  sha256Hex,
  tenantDigest,
  writeCheckpoint,
  writeSigningKey,
  type CheckpointManifest,
  type CheckpointReference,
  type CheckpointStore,
} from './index.js'
import { canonicalBytes, signManifest } from './manifest.js'
import { aboutVersion, expectations, files, withCode } from './testing.js'

let root: string
let store: CheckpointStore
const key = generateSigningKey()

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'plateau-checkpoints-'))
  store = fileStore(root)
})
afterEach(() => rm(root, { recursive: true, force: true }))

const trusted = { ...expectations, publicKeys: [key] }

const write = (version: number): Promise<CheckpointReference> =>
  writeCheckpoint(store, aboutVersion(version), files, key)
const open = (reference: CheckpointReference, changes: Partial<typeof trusted & { maxBytes: number }> = {}) =>
  openCheckpoint(store, reference, { ...trusted, ...changes })

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

describe('a checkpoint that is opened', () => {
  test('says whose windows are in it, and nobody can say otherwise', async () => {
    const tenants = ['', 'acme'].map(tenantDigest).toSorted()
    const named = { ...aboutVersion(9), gradientTenants: tenants, sumTenants: [EVERY_TENANT] }
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
        ...aboutVersion(9),
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
    const reference = await writeSigned({ schema: 1, ...aboutVersion(9), files: [], [field]: value })
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
