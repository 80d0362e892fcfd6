import {
  MANIFEST_FILE,
  openCheckpoint,
  sha256Hex,
  versionPath,
  type CheckpointStore,
  type OpenedCheckpoint,
  type VerifyingKey,
} from '@plateau/checkpoints'
import { PlateauError } from '@plateau/contracts'
import type { ModelDescription } from '@plateau/model-files'

const MAX_MANIFEST_BYTES = 1024 * 1024

/**
 * A version out of the store, the newest when undefined, checked in full. Announcements are not asked: the topic keeps
 * only the newest of them, and the manifest's signature says as much as the digest in one. Throws CHECKPOINT_NOT_FOUND
 * naming the versions there are, and what openCheckpoint throws.
 */
export async function openVersion(
  store: CheckpointStore,
  lineage: string,
  asked: number | undefined,
  { key, target }: { readonly key: VerifyingKey; readonly target: ModelDescription },
): Promise<OpenedCheckpoint> {
  const versions = await store.versions(lineage)
  const version = asked ?? versions.at(-1)
  if (version === undefined || !versions.includes(version)) throw notFound(lineage, asked, versions)
  const manifestPath = `${versionPath(lineage, version)}/${MANIFEST_FILE}`
  const manifestSha256 = sha256Hex(await store.read(manifestPath, MAX_MANIFEST_BYTES))
  return openCheckpoint(
    store,
    { lineage, version, manifestPath, manifestSha256 },
    {
      publicKeys: [key],
      lineage,
      targetFingerprint: target.fingerprint,
      tokenizerHash: target.tokenizerHash,
      minVersion: 1,
    },
  )
}

function notFound(lineage: string, asked: number | undefined, versions: readonly number[]): PlateauError {
  const which = asked === undefined ? 'no version' : `no version ${asked}`
  const there = versions.length === 0 ? 'none' : versions.join(', ')
  return new PlateauError('CHECKPOINT_NOT_FOUND', `the store has ${which} of lineage ${lineage}; there: ${there}`, {
    facts: { lineage, ...(asked !== undefined && { version: asked }) },
  })
}
