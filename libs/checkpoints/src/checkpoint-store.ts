/**
 * Where checkpoints live: <lineage>/v<version>/<files>. A version is written once, whole or not at all, and never
 * changed. Besides, each lineage has named states (the trainer's snapshot), which are replaced whole, by one writer at a
 * time: its epoch says which.
 *
 * What may pass (a store that is away, slow, full, or refuses us until somebody mends it) is thrown as a retryable
 * PlateauError. Every call ends: by its own time limit, or with `signal`'s reason once that is aborted.
 */
export interface CheckpointStore {
  /** For a person. */
  readonly where: string
  /**
   * The files are those of a version: one manifest.json, plain paths (CHECKPOINT_MANIFEST_INVALID, CHECKPOINT_PATH_UNSAFE).
   * Throws CHECKPOINT_EXISTS when the version is there already, or another writer is writing it. Durable when it resolves.
   */
  put(lineage: string, version: number, files: readonly StoredFile[], signal?: AbortSignal): Promise<void>
  /**
   * Throws CHECKPOINT_NOT_FOUND, and CHECKPOINT_TOO_LARGE before reading more than maxBytes. What it returns has its
   * buffer to itself.
   */
  read(path: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer>
  /** Complete versions, ascending. */
  versions(lineage: string, signal?: AbortSignal): Promise<number[]>
  /** Idempotent. */
  remove(lineage: string, version: number, signal?: AbortSignal): Promise<void>
  /**
   * Replaces the state of the writer with this epoch (Lease.epoch; 0: there is no other) atomically, and removes those of
   * earlier epochs. Durable when it resolves. Throws STATE_FENCED when a later epoch has one: a writer that does not know
   * yet that it was replaced can only replace its own state, which nobody reads any more.
   */
  putState(lineage: string, name: string, bytes: Uint8Array, epoch: number, signal?: AbortSignal): Promise<void>
  /** Of the latest epoch; undefined when there is none. */
  readState(lineage: string, name: string, signal?: AbortSignal): Promise<Buffer | undefined>
  /**
   * Whether it can be reached and does what it has to: throws what is wrong. 'write' also writes, and removes, something.
   */
  check(access: StoreAccess, signal?: AbortSignal): Promise<void>
}

export type StoreAccess = 'read' | 'write'

export interface StoredFile {
  /** Relative to the version; '/' separates folders. */
  readonly path: string
  readonly bytes: Uint8Array
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
