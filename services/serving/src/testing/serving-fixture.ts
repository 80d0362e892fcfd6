import { initialCausalDraft, initialFeatureHead, type CausalDraft, type FeatureHead } from '@plateau/causal-lm'
import {
  generateSigningKey,
  readSigningKey,
  fileStore,
  writeCheckpoint,
  writeSigningKey,
  type CheckpointManifest,
  type StoredFile,
} from '@plateau/checkpoints'
import { mergeConfigs } from '@plateau/config'
import { DraftCheckpoint, encodeHeaders, topics, type target as wire } from '@plateau/contracts'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { encodeCausalDraft, encodeFeatureHead, readDraftTarget } from '@plateau/model-files'
import { commonConfig, startService, type StartedService } from '@plateau/service-kit'
import { seededRandom } from '@plateau/speculation'
import { silentLogger, type LogFields, type Logger } from '@plateau/telemetry'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { servingConfig } from '../config.js'
import { startServing } from '../serving-service.js'
import { startMarkovTarget, type MarkovTargetOptions } from './markov-target.js'

export const modelDirectory = new URL('../../../../models/tiny-target', import.meta.url).pathname
const model = await readDraftTarget(modelDirectory)

export interface ServingFixture {
  readonly url: string
  readonly grpcAddress: string
  readonly service: StartedService
  /** What the target was asked. */
  readonly opened: readonly wire.SpeculateOpen[]
  /** Writes a signed checkpoint of a draft that has learned nothing, by default a feature-fed head, and announces it. */
  readonly publish: (version: number, damage?: Damage) => Promise<void>
  /** Values of a topic so far. */
  readonly records: <T>(topic: {
    readonly name: string
    readonly codec: { decode(bytes: Uint8Array): T }
  }) => Promise<T[]>
  readonly logs: readonly { readonly message: string; readonly fields: LogFields }[]
  close(): Promise<void>
}

export interface Damage {
  readonly manifest?: Partial<CheckpointManifest>
  /** Announced, but not in the store. */
  readonly missing?: boolean
  readonly foreignKey?: boolean
  readonly files?: (files: readonly StoredFile[]) => StoredFile[]
  /** A causal draft instead, for a target of so many tokens. */
  readonly causalDraftOf?: number
}

/** The whole service in this process: real log, real store, real gRPC to a Markov target that claims to be the model. */
export async function startServingFixture(
  environment: Record<string, string> = {},
  options: { readonly target?: Partial<MarkovTargetOptions> | 'none'; readonly root?: string } = {},
): Promise<ServingFixture> {
  const root = options.root ?? (await mkdtemp(join(tmpdir(), 'serving-')))
  const keyFile = join(root, 'key')
  if (!existsSync(keyFile)) await writeSigningKey(keyFile, generateSigningKey())
  const key = await readSigningKey(keyFile)
  const target =
    options.target === 'none'
      ? undefined
      : await startMarkovTarget({
          vocabSize: model.config.vocabSize,
          fingerprint: model.fingerprint,
          tokenizerHash: model.tokenizerHash,
          ...options.target,
        })
  const logs: { message: string; fields: LogFields }[] = []
  const schema = mergeConfigs(commonConfig(0), servingConfig)
  const config = schema.parse({
    PLATEAU_EVENT_LOG: `embedded:${join(root, 'log')}`,
    PLATEAU_MODEL: modelDirectory,
    PLATEAU_TARGET_ADDRESS: target?.address ?? '127.0.0.1:1',
    PLATEAU_CHECKPOINTS: join(root, 'checkpoints'),
    PLATEAU_VERIFY_KEY_FILE: `${keyFile}.pub`,
    PLATEAU_HTTP_PORT: '0',
    PLATEAU_GRPC_ADDRESS: '127.0.0.1:0',
    PLATEAU_ADMIN_ADDRESS: '127.0.0.1:0',
    PLATEAU_REPORT_SECONDS: '0.05',
    PLATEAU_DRAIN_SECONDS: '5',
    // Nobody asks for anything while a version is tested: its steps end by time.
    PLATEAU_STAGE_SECONDS: '0.1',
    // Which version a request gets is not by chance.
    PLATEAU_CANARY_SHARE: '1',
    PLATEAU_HOLDBACK_SHARE: '0',
    PLATEAU_KEPT_DRAFTS: '0',
    PLATEAU_EXPLORE_SHARE: '0',
    ...environment,
  })
  const logger = recordingLogger(logs)
  const spec = { name: 'serving', config: servingConfig, opsPort: 0, start: startServing }
  const service = await startService(spec, config as never, { logger })
  const { url, grpc } = logs.find(({ message }) => message === 'serving')!.fields as { url: string; grpc: string }

  const eventLog = openEmbeddedEventLog(join(root, 'log'))
  const producer = eventLog.producer()
  const store = fileStore(join(root, 'checkpoints'))
  const fixture: ServingFixture = {
    url,
    grpcAddress: grpc,
    service,
    opened: target?.opened ?? [],
    logs,
    publish: async (version, damage = {}) => {
      const { kind, files } = untrainedDraft(version, damage.causalDraftOf)
      const about = { ...manifestOf(version, kind), ...damage.manifest }
      const signer = damage.foreignKey === true ? generateSigningKey() : key
      const written = await writeCheckpoint(store, about, damage.files?.(files) ?? files, signer)
      if (damage.missing === true) await store.remove(about.lineage, version)
      const announced = DraftCheckpoint.encode({
        ...written,
        schemaVersion: 1,
        parentVersion: version - 1,
        kind: about.kind,
        trainedPositions: 0,
        targetFingerprint: model.fingerprint,
        tokenizerHash: model.tokenizerHash,
        publishedAtMs: 1,
        newestWindowAtMs: 1,
        evaluation: undefined,
      }).finish()
      const headers = encodeHeaders({
        id: `checkpoint-${version}`,
        source: '/plateau/trainer',
        type: topics.draftCheckpoints.messageType,
        timeMs: 1,
      })
      await producer.send(topics.draftCheckpoints.name, [{ key: 'default', value: announced, headers }])
    },
    records: async ({ name, codec }) => {
      const reader = eventLog.reader({ topic: name, from: 'earliest' })
      const found: ReturnType<typeof codec.decode>[] = []
      void reader.caughtUp.then(() => reader.close())
      for await (const { records } of reader) found.push(...records.map(({ value }) => codec.decode(value!)))
      return found
    },
    close: async () => {
      await service.stop()
      await eventLog.close()
      await target?.stop()
      if (options.root === undefined) await rm(root, { recursive: true })
    },
  }
  return fixture
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

function untrainedDraft(seed: number, causalDraftOf: number | undefined): { kind: string; files: StoredFile[] } {
  return causalDraftOf === undefined
    ? { kind: 'feature-fed-head', files: encodeFeatureHead(untrainedHead(seed)) }
    : { kind: 'causal-lm', files: encodeCausalDraft(untrainedCausalDraft(seed, causalDraftOf)) }
}

/** It knows every other token. */
function untrainedCausalDraft(seed: number, targetVocabSize: number): CausalDraft {
  const draftVocabulary = Int32Array.from({ length: targetVocabSize / 2 }, (_, row) => 2 * row)
  const sizes = { hiddenSize: 16, layers: 1, heads: 2, kvHeads: 1, headDim: 8, intermediateSize: 16 }
  const config = {
    targetVocabSize,
    draftVocabulary,
    model: { ...model.config, ...sizes, vocabSize: draftVocabulary.length + 1, eosTokenIds: [] },
  }
  return initialCausalDraft(config, seededRandom(seed))
}

function untrainedHead(seed: number): FeatureHead {
  const { hiddenSize, vocabSize, rmsNormEps } = model.config
  const config = { hiddenSize, vocabSize, rmsNormEps, bilinearFeatures: 0, layer: undefined }
  return initialFeatureHead(config, model.target, seededRandom(seed))
}

function manifestOf(version: number, kind: string): Omit<CheckpointManifest, 'schema' | 'files'> {
  return {
    lineage: 'default',
    version,
    parent: version - 1,
    kind,
    targetFingerprint: model.fingerprint,
    tokenizerHash: model.tokenizerHash,
    trainedThrough: [],
    policy: 'none',
    evaluation: { positions: 0, alpha: null, parentAlpha: null, greedyMatch: null },
    trainedPositions: 0,
    codeVersion: 'test',
    createdAt: '2026-01-01T00:00:00Z',
  }
}

function recordingLogger(logs: { message: string; fields: LogFields }[]): Logger {
  const record = (message: string, fields: LogFields = {}): void => void logs.push({ message, fields })
  return {
    ...silentLogger,
    info: record,
    warn: record,
    error: record,
    fatal: record,
    child: () => recordingLogger(logs),
  }
}
