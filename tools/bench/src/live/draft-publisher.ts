import {
  fileStore,
  MANIFEST_FILE,
  parseManifest,
  readSigningKey,
  retainNewest,
  versionPath,
  writeCheckpoint,
  type CheckpointManifest,
  type CheckpointStore,
  type SigningKey,
  type StoredFile,
} from '@plateau/checkpoints'
import { DraftCheckpoint, encodeHeaders, topics } from '@plateau/contracts'
import type { Cluster } from '@plateau/demo'
import type { EventLog, Producer } from '@plateau/event-log'

export const LINEAGE = 'default'
const MAX_MANIFEST_BYTES = 1024 * 1024
const KEPT_VERSIONS = 8

/** A published version: its files, and what its manifest says besides. */
export interface PublishedDraft {
  readonly manifest: CheckpointManifest
  readonly files: readonly StoredFile[]
}

/** Publishes versions as the trainer does, signed with the cluster's key. The trainer must have ended. */
export class DraftPublisher {
  readonly #store: CheckpointStore
  readonly #producer: Producer
  readonly #key: SigningKey
  #newest: number

  private constructor(store: CheckpointStore, producer: Producer, key: SigningKey, newest: number) {
    this.#store = store
    this.#producer = producer
    this.#key = key
    this.#newest = newest
  }

  static async open(cluster: Cluster, log: EventLog): Promise<DraftPublisher> {
    const store = fileStore(cluster.checkpointDirectory)
    const versions = await store.versions(LINEAGE)
    const key = await readSigningKey(cluster.keys.privateKeyFile)
    return new DraftPublisher(store, log.producer(), key, Math.max(0, ...versions))
  }

  /** Under the next number, which it returns. Old versions are removed: those in memory do not need them. */
  async publish({ manifest, files }: PublishedDraft): Promise<number> {
    const { schema: _, files: __, ...facts } = manifest
    const version = this.#newest + 1
    const about = { ...facts, version, parent: this.#newest, createdAt: new Date().toISOString() }
    const reference = await writeCheckpoint(this.#store, about, files, this.#key)
    this.#newest = version
    const publishedAtMs = Date.now()
    const { parent, kind, targetFingerprint, tokenizerHash, trainedPositions } = about
    const value = DraftCheckpoint.encode(
      DraftCheckpoint.fromPartial({
        ...reference,
        schemaVersion: 1,
        parentVersion: parent,
        kind,
        targetFingerprint,
        tokenizerHash,
        trainedPositions,
        publishedAtMs,
      }),
    ).finish()
    const headers = encodeHeaders({
      id: `${LINEAGE}/${version}`,
      source: '/plateau/bench',
      type: topics.draftCheckpoints.messageType,
      timeMs: publishedAtMs,
      subject: LINEAGE,
    })
    await this.#producer.send(topics.draftCheckpoints.name, [{ key: LINEAGE, value, headers }])
    await retainNewest(this.#store, LINEAGE, KEPT_VERSIONS, [1])
    return version
  }

  async close(): Promise<void> {
    await this.#producer.close()
  }
}

/** Throws CHECKPOINT_NOT_FOUND where the store does not have the version any more. */
export async function readPublished(cluster: Cluster, version: number): Promise<PublishedDraft> {
  const store = fileStore(cluster.checkpointDirectory)
  const folder = versionPath(LINEAGE, version)
  const manifest = parseManifest(await store.read(`${folder}/${MANIFEST_FILE}`, MAX_MANIFEST_BYTES), folder)
  const files: StoredFile[] = []
  for (const { path, bytes } of manifest.files)
    files.push({ path, bytes: await store.read(`${folder}/${path}`, bytes) })
  return { manifest, files }
}
