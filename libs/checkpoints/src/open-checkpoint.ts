import { PlateauError } from '@plateau/contracts'
import type { CheckpointStore } from './checkpoint-store.js'
import {
  MANIFEST_FILE,
  parseManifest,
  sha256Hex,
  SIGNATURE_FILE,
  verifySignature,
  type CheckpointManifest,
} from './manifest.js'
import type { CheckpointReference } from './publish.js'
import type { VerifyingKey } from './signing-keys.js'

export interface CheckpointExpectations {
  readonly publicKeys: readonly VerifyingKey[]
  readonly lineage: string
  readonly targetFingerprint: string
  readonly tokenizerHash: string
  /** Older versions are refused (replayed announcements, a store rolled back). */
  readonly minVersion: number
  /** All files together. Default 4 GiB. */
  readonly maxBytes?: number
}

export interface OpenedCheckpoint {
  readonly manifest: CheckpointManifest
  /** The very bytes whose digests were checked, by path. */
  readonly files: ReadonlyMap<string, Buffer>
}

const MAX_MANIFEST_BYTES = 1024 * 1024
const DEFAULT_MAX_BYTES = 4 * 1024 ** 3

/**
 * Reads an announced checkpoint and returns it only when everything about it is as it should be: the manifest's digest
 * and signature, then what the manifest says (lineage, version, target, tokenizer, paths, sizes), then every file's
 * digest. Each failure has its own code; nothing is parsed before its signature is good.
 */
export async function openCheckpoint(
  store: Pick<CheckpointStore, 'read'>,
  announced: CheckpointReference,
  expected: CheckpointExpectations,
): Promise<OpenedCheckpoint> {
  const where = `${announced.manifestPath} (version ${announced.version} of lineage ${announced.lineage})`
  const manifestBytes = await store.read(announced.manifestPath, MAX_MANIFEST_BYTES)
  const digest = sha256Hex(manifestBytes)
  if (digest !== announced.manifestSha256) {
    throw new PlateauError(
      'CHECKPOINT_MANIFEST_DIGEST',
      `${where} has digest ${digest}, announced was ${announced.manifestSha256}`,
      {
        facts: { path: announced.manifestPath, found: digest, announced: announced.manifestSha256 },
      },
    )
  }
  const folder = folderOf(announced.manifestPath)
  verifySignature(manifestBytes, await readSignature(store, folder, where), expected.publicKeys, where)
  const manifest = parseManifest(manifestBytes, where)
  compare(manifest, announced, expected, where)
  return { manifest, files: await readFiles(store, folder, manifest, expected.maxBytes ?? DEFAULT_MAX_BYTES, where) }
}

function folderOf(manifestPath: string): string {
  if (manifestPath.endsWith(`/${MANIFEST_FILE}`)) return manifestPath.slice(0, -MANIFEST_FILE.length - 1)
  throw new PlateauError('CHECKPOINT_PATH_UNSAFE', `${JSON.stringify(manifestPath)} does not name a ${MANIFEST_FILE}`, {
    facts: { path: manifestPath },
  })
}

async function readSignature(store: Pick<CheckpointStore, 'read'>, folder: string, where: string): Promise<Buffer> {
  try {
    return await store.read(`${folder}/${SIGNATURE_FILE}`, MAX_MANIFEST_BYTES)
  } catch (thrown) {
    if (!(thrown instanceof PlateauError) || thrown.code !== 'CHECKPOINT_NOT_FOUND') throw thrown
    throw new PlateauError('CHECKPOINT_UNSIGNED', `${where} has no signature`, { facts: { folder }, cause: thrown })
  }
}

function compare(
  manifest: CheckpointManifest,
  announced: CheckpointReference,
  expected: CheckpointExpectations,
  where: string,
): void {
  const { lineage, version } = manifest
  refuseUnless(
    lineage === announced.lineage && lineage === expected.lineage,
    'CHECKPOINT_LINEAGE',
    where,
    'lineage',
    lineage,
    expected.lineage,
  )
  refuseUnless(version === announced.version, 'CHECKPOINT_VERSION', where, 'version', version, announced.version)
  if (version < expected.minVersion) {
    throw new PlateauError(
      'CHECKPOINT_ROLLBACK',
      `${where} is older than version ${expected.minVersion}, below which nothing may be loaded`,
      {
        facts: { version, minVersion: expected.minVersion },
      },
    )
  }
  refuseUnless(
    manifest.targetFingerprint === expected.targetFingerprint,
    'CHECKPOINT_TARGET_MISMATCH',
    where,
    'target fingerprint',
    manifest.targetFingerprint,
    expected.targetFingerprint,
  )
  refuseUnless(
    manifest.tokenizerHash === expected.tokenizerHash,
    'CHECKPOINT_TOKENIZER_MISMATCH',
    where,
    'tokenizer hash',
    manifest.tokenizerHash,
    expected.tokenizerHash,
  )
}

function refuseUnless(
  same: boolean,
  code: string,
  where: string,
  what: string,
  found: string | number,
  expected: string | number,
): void {
  if (same) return
  throw new PlateauError(code, `${where} has ${what} ${found}, expected was ${expected}`, {
    facts: { found, expected },
  })
}

async function readFiles(
  store: Pick<CheckpointStore, 'read'>,
  folder: string,
  manifest: CheckpointManifest,
  maxBytes: number,
  where: string,
): Promise<Map<string, Buffer>> {
  const total = manifest.files.reduce((sum, file) => sum + file.bytes, 0)
  if (total > maxBytes) {
    throw new PlateauError('CHECKPOINT_TOO_LARGE', `${where} lists ${total} bytes, more than the ${maxBytes} allowed`, {
      facts: { bytes: total, maxBytes },
    })
  }
  const files = new Map<string, Buffer>()
  for (const { path, bytes, sha256 } of manifest.files) {
    const content = await store.read(`${folder}/${path}`, bytes)
    if (content.length !== bytes) {
      throw new PlateauError(
        'CHECKPOINT_FILE_SIZE',
        `${path} of ${where} has ${content.length} bytes, its manifest says ${bytes}`,
        {
          facts: { path, found: content.length, expected: bytes },
        },
      )
    }
    const found = sha256Hex(content)
    if (found !== sha256) {
      throw new PlateauError(
        'CHECKPOINT_FILE_DIGEST',
        `${path} of ${where} has digest ${found}, its manifest says ${sha256}`,
        {
          facts: { path, found, expected: sha256 },
        },
      )
    }
    files.set(path, content)
  }
  return files
}
