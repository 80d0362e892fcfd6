import {
  MANIFEST_FILE,
  openCheckpoint,
  retainNewest,
  sha256Hex,
  versionPath,
  writeCheckpoint,
  type CheckpointEvaluation,
  type CheckpointManifest,
  type CheckpointReference,
  type CheckpointStore,
  type SigningKey,
  type TrainedThrough,
} from '@plateau/checkpoints'
import { DraftCheckpoint, encodeHeaders, PlateauError, topics } from '@plateau/contracts'
import { readUpToNow, type EventLog, type Producer } from '@plateau/event-log'
import type { ModelDescription } from '@plateau/model-files'
import { inSpan, messagingAttributes, type Logger } from '@plateau/telemetry'
import { asPublished, type DraftKind, type LearnedModel } from './kinds/draft-kind.js'
import { learnedFrom, LEARNED_FROM_NOBODY, type LearnedFrom } from './kinds/learned-from.js'
import { worksNow } from './retry-later.js'
import type { ServingVerdicts } from './serving-verdicts.js'

export interface DraftLineOptions {
  readonly lineage: string
  readonly keepVersions: number
  readonly codeVersion: string
}

export interface DraftLineParts<Model> {
  readonly kind: Pick<DraftKind<Model>, 'name' | 'initial' | 'initialFrom' | 'encode' | 'decode'>
  readonly log: EventLog
  readonly verdicts: Pick<ServingVerdicts, 'readOrders' | 'held' | 'live' | 'hasRefused'>
  /** Of the lineage's lease. */
  readonly producer: Producer
  readonly store: CheckpointStore
  readonly key: SigningKey
  /** The target. Its tokenizer is copied into every version. */
  readonly model: ModelDescription
  readonly logger: Logger
  readonly clock: () => number
}

/** What training knows about a version it wants to publish. */
export interface VersionFacts extends LearnedFrom {
  readonly evaluation: CheckpointEvaluation
  readonly trainedThrough: readonly TrainedThrough[]
  readonly trainedPositions: number
  readonly policy: string
}

type ManifestFacts = Omit<CheckpointManifest, 'schema' | 'files'>

export interface Rival<Model> {
  readonly version: number
  readonly model: Model
}

interface Unannounced {
  readonly reference: CheckpointReference
  readonly manifest: ManifestFacts
  /** Its span is the one that published it. */
  readonly cause: VersionCause
}

/** What led to a version. */
export interface VersionCause {
  /** Its announcement and its swap continue this trace. */
  readonly traceparent?: string | undefined
  /** When the newest window that training has seen was captured; undefined: not known. */
  readonly newestWindowAtMs?: number | undefined
}

const MAX_MANIFEST_BYTES = 1024 * 1024
/** Numbers that a writer who was replaced may have taken meanwhile. */
const MOST_CONFLICTS = 16

/**
 * One lineage's versions. The newest one in the store is the incumbent. A version is durable in the store before it is
 * announced; one whose announcement was lost to a crash is announced at the next start, so an announcement never
 * points at nothing and no version is silently left out. The announcements go through the lease of the lineage: a writer
 * that was replaced can still leave a version in the store, but cannot announce it, and the number that it took is passed
 * over.
 */
export class DraftLine<Model> {
  readonly #options: DraftLineOptions
  readonly #parts: DraftLineParts<Model>
  #incumbent: Model
  #incumbentFrom: LearnedFrom
  #version: number
  #publishedAtMs: number
  /** Where it is another one than the incumbent, and that is refused. */
  #live: Rival<Model> | undefined
  /** By the log's last word; 0 = none. */
  #announced = 0
  /** Durable in the store, but the log would not take the announcement. */
  #unannounced: Unannounced | undefined

  private constructor(
    options: DraftLineOptions,
    parts: DraftLineParts<Model>,
    { model, version, ...from }: LearnedModel<Model> & { readonly version: number },
  ) {
    this.#options = options
    this.#parts = parts
    this.#incumbent = model
    this.#incumbentFrom = from
    this.#version = version
    this.#publishedAtMs = Number.NEGATIVE_INFINITY
  }

  /** Publishes an untrained draft as version 1 when the lineage is new. Throws LINEAGE_KIND_MISMATCH. */
  static async open<Model>(options: DraftLineOptions, parts: DraftLineParts<Model>): Promise<DraftLine<Model>> {
    const newest = (await parts.store.versions(options.lineage)).at(-1)
    if (newest === undefined) {
      const model = asPublished(parts.kind, parts.kind.initial())
      const line = new DraftLine(options, parts, { model, ...parts.kind.initialFrom, version: 0 })
      await line.publish(line.#incumbent, {
        evaluation: { positions: 0, alpha: null, parentAlpha: null, greedyMatch: null },
        trainedThrough: [],
        trainedPositions: 0,
        policy: '',
        ...parts.kind.initialFrom,
      })
      return line
    }
    const { manifest, reference, model } = await readVersion(options, parts, newest)
    const line = new DraftLine(options, parts, { model, ...learnedBy(manifest), version: newest })
    line.#announced = await line.#announcedVersion()
    if (line.#announced < newest) line.#unannounced = { reference, manifest, cause: {} }
    await line.announce()
    return line
  }

  get version(): number {
    return this.#version
  }

  /** The newest version. */
  get incumbent(): Model {
    return this.#incumbent
  }

  get incumbentFrom(): LearnedFrom {
    return this.#incumbentFrom
  }

  /**
   * What a new version has to be better than, the one that it takes the place of first. As long as serving has not refused
   * the newest version that is this one: it is live, or about to be. A refused one never will be: then it is the version
   * that is live, and the refused one as well, or the same would be published again and again.
   */
  async rivals(): Promise<readonly [Rival<Model>, ...Rival<Model>[]]> {
    const newest = { version: this.#version, model: this.#incumbent }
    const { verdicts } = this.#parts
    const { live } = verdicts
    // A live version that is refused itself has none in its place yet.
    if (!verdicts.hasRefused(this.#version) || live === 0 || verdicts.hasRefused(live)) {
      this.#live = undefined
      return [newest]
    }
    this.#live = this.#live?.version === live ? this.#live : await this.#read(live)
    return this.#live === undefined ? [newest] : [this.#live, newest]
  }

  /** What the lineage began with. It always stays in the store. */
  async first(): Promise<LearnedModel<Model>> {
    const { model, manifest } = await readVersion(this.#options, this.#parts, 1)
    return { model, ...learnedBy(manifest) }
  }

  /** Of the newest trained version of this process; minus infinity before it. */
  get publishedAtMs(): number {
    return this.#publishedAtMs
  }

  async publish(draft: Model, facts: VersionFacts, cause: VersionCause = {}): Promise<number> {
    const attributes = {
      ...messagingAttributes('send', topics.draftCheckpoints.name),
      'plateau.lineage': this.#options.lineage,
      'plateau.training.positions': facts.trainedPositions,
      'plateau.evaluation.alpha': facts.evaluation.alpha ?? undefined,
    }
    return inSpan('publish version', { parent: cause.traceparent, attributes }, async (span) => {
      const version = await this.#publish(draft, facts, { ...cause, traceparent: span.traceparent })
      span.set({ 'plateau.draft.version': String(version) })
      return version
    })
  }

  async #publish(draft: Model, facts: VersionFacts, cause: VersionCause): Promise<number> {
    const { lineage, codeVersion } = this.#options
    const { kind, store, key, model, clock, logger } = this.#parts
    const files = [...kind.encode(draft), { path: 'tokenizer.json', bytes: model.tokenizerJson }]
    const manifestOf = (version: number): ManifestFacts => ({
      lineage,
      version,
      parent: this.#version,
      kind: kind.name,
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      codeVersion,
      createdAt: new Date(clock()).toISOString(),
      ...facts,
    })
    const about = await this.#write((manifest) => writeCheckpoint(store, manifest, files, key), manifestOf)
    this.#incumbent = draft
    this.#incumbentFrom = { gradientTenants: facts.gradientTenants, sumTenants: facts.sumTenants }
    // Whatever replaces an untrained draft is welcome at once.
    if (this.#version > 0) this.#publishedAtMs = clock()
    this.#version = about.manifest.version
    this.#unannounced = { ...about, cause }
    await this.announce()
    const removed = await this.#removeOld()
    logger.info('version published', {
      version: this.#version,
      positions: facts.evaluation.positions,
      alpha: facts.evaluation.alpha ?? undefined,
      parentAlpha: facts.evaluation.parentAlpha ?? undefined,
      trainedPositions: facts.trainedPositions,
      removed: removed.length,
    })
    return this.#version
  }

  /**
   * All but the newest, the first, the one announced last (servings start with it, however many wait for the log) and those
   * that serving holds. Where the log does not say which those are, none.
   */
  async #removeOld(): Promise<readonly number[]> {
    const { lineage, keepVersions } = this.#options
    const { store, verdicts, logger } = this.#parts
    const isTold = await worksNow(logger, 'old versions stay: not told which ones serving holds', () =>
      verdicts.readOrders(),
    )
    if (!isTold) return []
    const kept = [1, this.#announced, ...verdicts.held]
    let removed: readonly number[] = []
    // The version is out: what stays now is removed after the next one.
    await worksNow(logger, 'old versions stay', async () => {
      removed = await retainNewest(store, lineage, keepVersions, kept)
    })
    return removed
  }

  /** Undefined where the store does not have it, or not now. */
  async #read(version: number): Promise<Rival<Model> | undefined> {
    const { logger } = this.#parts
    try {
      return { version, model: (await readVersion(this.#options, this.#parts, version)).model }
    } catch (error) {
      if (!(error instanceof PlateauError)) throw error
      logger.warn('the live version cannot be compared with', { version, error })
      return undefined
    }
  }

  /** Under the next number that is free. */
  async #write(
    write: (manifest: ManifestFacts) => Promise<CheckpointReference>,
    manifestOf: (version: number) => ManifestFacts,
  ): Promise<Omit<Unannounced, 'cause'>> {
    for (let version = this.#version + 1; ; version++) {
      const manifest = manifestOf(version)
      try {
        return { reference: await write(manifest), manifest }
      } catch (error) {
        const isTaken = error instanceof PlateauError && error.code === 'CHECKPOINT_EXISTS'
        if (!isTaken || version > this.#version + MOST_CONFLICTS) throw error
        this.#parts.logger.warn('a writer that was replaced took this version, passing over it', { version })
      }
    }
  }

  /** Announces the newest version if that is still to be done. A log that is full or away is asked again next time. */
  async announce(): Promise<void> {
    if (this.#unannounced === undefined) return
    const { version } = this.#unannounced.reference
    try {
      await this.#send(this.#unannounced)
      this.#announced = version
      this.#unannounced = undefined
    } catch (error) {
      if (!(error instanceof PlateauError && error.retryable)) throw error
      this.#parts.logger.warn('version not announced yet', { version, error })
    }
  }

  async #send({ reference, manifest, cause }: Unannounced): Promise<void> {
    const { evaluation } = manifest
    const message = DraftCheckpoint.fromPartial({
      schemaVersion: 1,
      ...reference,
      parentVersion: manifest.parent,
      targetFingerprint: manifest.targetFingerprint,
      tokenizerHash: manifest.tokenizerHash,
      kind: manifest.kind,
      evaluation: {
        positions: evaluation.positions,
        alpha: evaluation.alpha ?? Number.NaN,
        parentAlpha: evaluation.parentAlpha ?? Number.NaN,
        greedyMatch: evaluation.greedyMatch ?? Number.NaN,
      },
      trainedPositions: manifest.trainedPositions,
      publishedAtMs: Date.parse(manifest.createdAt),
      newestWindowAtMs: cause.newestWindowAtMs ?? 0,
    })
    const headers = encodeHeaders({
      id: `${reference.lineage}/${reference.version}`,
      source: '/plateau/trainer',
      type: topics.draftCheckpoints.messageType,
      timeMs: Date.parse(manifest.createdAt),
      subject: reference.lineage,
      traceparent: cause.traceparent,
    })
    const value = DraftCheckpoint.encode(message).finish()
    await this.#parts.producer.send(topics.draftCheckpoints.name, [{ key: reference.lineage, value, headers }])
  }

  /** 0 = none. What cannot be decoded is passed over: anybody who may write to the topic could stop the trainer by it. */
  async #announcedVersion(): Promise<number> {
    const reader = this.#parts.log.reader({ topic: topics.draftCheckpoints.name, from: 'earliest' })
    let newest = 0
    for await (const { records } of readUpToNow(reader)) {
      for (const { key, value, partition, offset } of records) {
        if (key !== this.#options.lineage || value === null) continue
        try {
          newest = Math.max(newest, DraftCheckpoint.decode(value).version)
        } catch (error) {
          this.#parts.logger.warn('an announcement of the lineage cannot be decoded', { partition, offset, error })
        }
      }
    }
    return newest
  }
}

/** A first version of before this was noted was not trained here. */
function learnedBy(manifest: CheckpointManifest): LearnedFrom {
  const isNoted = manifest.gradientTenants !== undefined
  return isNoted || manifest.version > 1 ? learnedFrom(manifest) : LEARNED_FROM_NOBODY
}

async function readVersion<Model>(
  { lineage }: DraftLineOptions,
  { kind, store, key, model }: DraftLineParts<Model>,
  version: number,
) {
  const manifestPath = `${versionPath(lineage, version)}/${MANIFEST_FILE}`
  const manifestSha256 = sha256Hex(await store.read(manifestPath, MAX_MANIFEST_BYTES))
  const reference = { lineage, version, manifestPath, manifestSha256 }
  try {
    const { manifest, files } = await openCheckpoint(store, reference, {
      publicKeys: [key],
      lineage,
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      minVersion: 1,
    })
    if (manifest.kind !== kind.name) throw kindMismatch(manifest.kind, kind.name)
    return { manifest, reference, model: kind.decode(files, versionPath(lineage, version)) }
  } catch (cause) {
    if (!(cause instanceof PlateauError)) throw cause
    throw new PlateauError(
      cause.code,
      `lineage ${lineage} cannot be continued from its version ${version}: ${cause.message}. ` +
        'Set PLATEAU_LINEAGE to a new name to begin another one.',
      { facts: { ...cause.facts, lineage, version }, cause },
    )
  }
}

function kindMismatch(found: string, kind: string): PlateauError {
  return new PlateauError('LINEAGE_KIND_MISMATCH', `it is a ${found}, and PLATEAU_DRAFT asks for a ${kind}`, {
    facts: { found, kind },
  })
}
