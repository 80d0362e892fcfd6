import {
  MANIFEST_FILE,
  parseManifest,
  sha256Hex,
  SIGNATURE_FILE,
  verifySignature,
  versionPath,
  type CheckpointManifest,
  type CheckpointStore,
  type VerifyingKey,
} from '@plateau/checkpoints'
import { messageOf, PlateauError } from '@plateau/contracts'

/** What is known of a version's files. */
export type ManifestFinding =
  | { readonly kind: 'no store' }
  | { readonly kind: 'missing'; readonly path: string }
  | { readonly kind: 'unusable'; readonly path: string; readonly why: string }
  | FoundManifest

export interface FoundManifest {
  readonly kind: 'found'
  readonly path: string
  readonly sha256: string
  readonly manifest: CheckpointManifest
  readonly signature: 'valid' | 'not checked' | 'missing' | 'wrong'
}

const MAX_MANIFEST_BYTES = 1024 * 1024

/**
 * Reads manifests, and nothing else, from the checkpoint store: what a version was trained on is said there, and for versions
 * whose announcement was compacted away only there. It checks the signature where it has a key, for show: who serves a
 * version checks for itself.
 */
export class Manifests {
  readonly #store: CheckpointStore | undefined
  readonly #key: VerifyingKey | undefined

  constructor(store: CheckpointStore | undefined, key: VerifyingKey | undefined) {
    this.#store = store
    this.#key = key
  }

  /** Never throws. */
  async find(lineage: string, version: number): Promise<ManifestFinding> {
    if (this.#store === undefined) return { kind: 'no store' }
    const folder = versionPath(lineage, version)
    const path = `${folder}/${MANIFEST_FILE}`
    try {
      const bytes = await this.#store.read(path, MAX_MANIFEST_BYTES)
      const manifest = parseManifest(bytes, path)
      const signature = await this.#check(this.#store, folder, bytes)
      return { kind: 'found', path, sha256: sha256Hex(bytes), manifest, signature }
    } catch (error) {
      if (error instanceof PlateauError && error.code === 'CHECKPOINT_NOT_FOUND') return { kind: 'missing', path }
      return { kind: 'unusable', path, why: messageOf(error) }
    }
  }

  async #check(store: CheckpointStore, folder: string, manifest: Buffer): Promise<FoundManifest['signature']> {
    if (this.#key === undefined) return 'not checked'
    try {
      const signature = await store.read(`${folder}/${SIGNATURE_FILE}`, MAX_MANIFEST_BYTES)
      verifySignature(manifest, signature, [this.#key], folder)
      return 'valid'
    } catch (error) {
      return error instanceof PlateauError && error.code === 'CHECKPOINT_NOT_FOUND' ? 'missing' : 'wrong'
    }
  }
}
