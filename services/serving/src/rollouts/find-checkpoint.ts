import { MANIFEST_FILE, sha256Hex, versionPath, type CheckpointStore } from '@plateau/checkpoints'
import { DraftCheckpoint, PlateauError } from '@plateau/contracts'

const MAX_MANIFEST_BYTES = 1024 * 1024

/**
 * A version that is not announced any more, as if it were: where it is, and the digest of the manifest that lies there.
 * Whether that manifest is signed and right is looked at when it is loaded. Throws NOT_FOUND.
 */
export async function findCheckpoint(
  store: CheckpointStore,
  lineage: string,
  version: number,
): Promise<DraftCheckpoint> {
  const manifestPath = `${versionPath(lineage, version)}/${MANIFEST_FILE}`
  let manifest: Buffer
  try {
    manifest = await store.read(manifestPath, MAX_MANIFEST_BYTES)
  } catch (cause) {
    if (!(cause instanceof PlateauError && cause.code === 'CHECKPOINT_NOT_FOUND')) throw cause
    const message = `version ${version} of lineage ${lineage} is neither announced nor in the checkpoint store`
    throw new PlateauError('NOT_FOUND', message, { facts: { field: 'version', lineage, version }, cause })
  }
  const { kind } = JSON.parse(manifest.toString('utf8')) as { readonly kind?: unknown }
  const manifestSha256 = sha256Hex(manifest)
  return DraftCheckpoint.fromPartial({
    schemaVersion: 1,
    lineage,
    version,
    manifestPath,
    manifestSha256,
    kind: String(kind),
  })
}
