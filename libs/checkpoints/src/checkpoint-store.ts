/**
 * Where checkpoints live: <lineage>/v<version>/<files>. A version is written once, whole or not at all, and never
 * changed. Besides, each lineage has named states (the trainer's snapshot), which are replaced whole, by one writer at a
 * time: its epoch says which.
 */
export interface CheckpointStore {
  /** Throws CHECKPOINT_EXISTS when the version is there already. Durable when it resolves. */
  put(lineage: string, version: number, files: readonly StoredFile[]): Promise<void>
  /** Throws CHECKPOINT_NOT_FOUND, and CHECKPOINT_TOO_LARGE before reading more than maxBytes. */
  read(path: string, maxBytes: number): Promise<Buffer>
  /** Complete versions, ascending. */
  versions(lineage: string): Promise<number[]>
  /** Idempotent. */
  remove(lineage: string, version: number): Promise<void>
  /**
   * Replaces the state of the writer with this epoch (Lease.epoch; 0: there is no other) atomically, and removes those of
   * earlier epochs. Durable when it resolves. Throws STATE_FENCED when a later epoch has one: a writer that does not know
   * yet that it was replaced can only replace its own state, which nobody reads any more.
   */
  putState(lineage: string, name: string, bytes: Uint8Array, epoch: number): Promise<void>
  /** Of the latest epoch; undefined when there is none. */
  readState(lineage: string, name: string): Promise<Buffer | undefined>
}

export interface StoredFile {
  /** Relative to the version; '/' separates folders. */
  readonly path: string
  readonly bytes: Uint8Array
}

/** The folder of a version relative to the store's root. */
export function versionPath(lineage: string, version: number): string {
  return `${lineage}/v${String(version).padStart(8, '0')}`
}

/** Removes all versions but the newest `keep` and those named. */
export async function retainNewest(
  store: CheckpointStore,
  lineage: string,
  keep: number,
  alwaysKeep: readonly number[] = [],
): Promise<number[]> {
  const versions = await store.versions(lineage)
  const old = versions.slice(0, Math.max(0, versions.length - keep)).filter((version) => !alwaysKeep.includes(version))
  for (const version of old) await store.remove(lineage, version)
  return old
}
