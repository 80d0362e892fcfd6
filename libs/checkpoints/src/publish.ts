import {
  canonicalBytes,
  MANIFEST_FILE,
  sha256Hex,
  SIGNATURE_FILE,
  signManifest,
  type CheckpointManifest,
} from './manifest.js'
import type { CheckpointStore, StoredFile } from './checkpoint-store.js'
import type { SigningKey } from './signing-keys.js'
import { versionPath } from './store-names.js'

/** What an announcement says of where a checkpoint lies and how to know it. */
export interface CheckpointReference {
  readonly lineage: string
  readonly version: number
  /** Relative to the store's root. */
  readonly manifestPath: string
  readonly manifestSha256: string
}

/** Writes one version: its files, their manifest, the signature. Durable and complete when it resolves. */
export async function writeCheckpoint(
  store: CheckpointStore,
  about: Omit<CheckpointManifest, 'schema' | 'files'>,
  files: readonly StoredFile[],
  key: SigningKey,
): Promise<CheckpointReference> {
  const manifest = canonicalBytes({
    schema: 1,
    ...about,
    files: files.map(({ path, bytes }) => ({ path, bytes: bytes.length, sha256: sha256Hex(bytes) })),
  })
  await store.put(about.lineage, about.version, [
    ...files,
    { path: MANIFEST_FILE, bytes: manifest },
    { path: SIGNATURE_FILE, bytes: signManifest(manifest, key) },
  ])
  return {
    lineage: about.lineage,
    version: about.version,
    manifestPath: `${versionPath(about.lineage, about.version)}/${MANIFEST_FILE}`,
    manifestSha256: sha256Hex(manifest),
  }
}
