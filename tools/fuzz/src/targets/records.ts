import {
  Arm,
  decodeHeaders,
  Decision,
  DraftCheckpoint,
  encodeHeaders,
  FloatFormat,
  packFloats,
  packTopK,
  RolloutOrder,
  RolloutOrderKind,
  SelectionPolicy,
  target,
  TokenWindow,
  topics,
  allTopics,
  TrainingWindow,
  unframe,
  frameConfluent,
  serving,
  rollout,
  type Codec,
} from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { selectionPolicy } from '@plateau/flatness'
import fc from 'fast-check'
import type { FuzzTarget } from '../fuzz-target.js'
import { accepted } from '../refusal.js'
import { repositoryFile } from '../repository.js'

const limits = { inputMs: 1000, memoryMiB: 32, inputBytes: 2 ** 20 }

/** What the Protobuf runtime says of bytes that are no message; each door turns it into its own code. */
const WIRE_ERRORS =
  /premature EOF|invalid (varint|wire type|tag|end group)|illegal tag|cant skip|can't skip|index out of range|outside the bounds of the DataView|Value is (larger|smaller)|Maximum call stack|invalid UTF8/i

interface Message {
  readonly name: string
  readonly codec: Codec<unknown>
}

const messages: readonly Message[] = [
  ...allTopics.map(({ messageType, codec }) => ({ name: messageType, codec: codec as Codec<unknown> })),
  ...[target, serving, rollout].flatMap((file) =>
    Object.entries(file).flatMap(([name, codec]: [string, unknown]) =>
      typeof codec === 'object' && codec !== null && 'decode' in codec
        ? [{ name, codec: codec as Codec<unknown> }]
        : [],
    ),
  ),
]

/** Which message is said by the first byte. */
export const protobuf: FuzzTarget = {
  name: 'protobuf',
  summary: 'every message of ours: what decodes must survive being written and read again',
  limits,
  shortRuns: 3000,
  open: async () => {
    const seeds = [...messages.keys()].map((i) => Buffer.from([i]))
    const windows = [aWindow(), { ...aWindow(), features: Buffer.alloc(64) }].map((window) =>
      Buffer.concat([Buffer.from([0]), TokenWindow.encode(window).finish()]),
    )
    const field = fc
      .tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom(0, 1, 2, 3, 4, 5), fc.uint8Array({ maxLength: 24 }))
      .map(([number, wire, bytes]) => Buffer.from([number * 8 + wire, ...(wire === 2 ? [bytes.length] : []), ...bytes]))
    const made = fc
      .tuple(fc.integer({ min: 0, max: messages.length - 1 }), fc.array(field, { maxLength: 20 }))
      .map(([which, fields]) => Buffer.concat([Buffer.from([which]), ...fields]))
    const nested = fc
      .tuple(fc.integer({ min: 0, max: messages.length - 1 }), fc.integer({ min: 1, max: 100_000 }))
      .map(([which, depth]) => Buffer.concat([Buffer.from([which]), Buffer.alloc(depth, 0xfb)]))
    return {
      corpus: [...seeds, ...windows],
      generated: fc.oneof({ arbitrary: made, weight: 8 }, { arbitrary: nested, weight: 1 }),
      run: (input) => {
        const { codec, name } = messages[(input[0] ?? 0) % messages.length]!
        const message = decodedOrUndefined(codec, input.subarray(1))
        if (message === undefined) return false
        const written = codec.encode(message.value).finish()
        const again = codec.encode(codec.decode(written)).finish()
        if (!Buffer.from(written).equals(again)) throw new Error(`${name} is another one when it is read again`)
        return true
      },
    }
  },
}

function decodedOrUndefined(codec: Codec<unknown>, bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: codec.decode(bytes) }
  } catch (thrown) {
    if (thrown instanceof Error && WIRE_ERRORS.test(thrown.message)) return undefined
    throw thrown
  }
}

/** A record as bytes: its key and headers as a line of JSON, then the value. */
function recordBytes(key: string, messageType: string, value: Uint8Array): Uint8Array {
  const headers = encodeHeaders({ id: 'a', source: '/fuzz', type: messageType, timeMs: 1 })
  return Buffer.concat([Buffer.from(`${JSON.stringify({ key, headers })}\n`), value])
}

/** Undefined where the line is none that a log could hold: keys and header values are texts. */
function recordOf(input: Uint8Array): LogRecord | undefined {
  const end = input.indexOf(10)
  if (end < 0) return undefined
  try {
    const { key, headers } = JSON.parse(Buffer.from(input.subarray(0, end)).toString('utf8')) as Partial<LogRecord>
    if (typeof key !== 'string' || typeof headers !== 'object' || headers === null) return undefined
    if (!Object.values(headers).every((value) => typeof value === 'string')) return undefined
    const value = Buffer.from(input.subarray(end + 1))
    return { topic: 't', partition: 0, offset: 0, timestampMs: 1, key, headers, value } as LogRecord
  } catch {
    return undefined
  }
}

function recordTarget(
  about: Pick<FuzzTarget, 'name' | 'summary' | 'shortRuns'>,
  open: () => Promise<{ corpus: Uint8Array[]; codes: readonly string[]; take: (record: LogRecord) => unknown }>,
): FuzzTarget {
  return {
    ...about,
    limits,
    open: async () => {
      const { corpus, codes, take } = await open()
      return {
        corpus,
        run: (input) => {
          const record = recordOf(input)
          return record === undefined ? false : accepted(codes, () => take(record))
        },
      }
    },
  }
}

/** Reasons of dead letters, as docs/topics/internal.md lists them. */
const DEAD_LETTERS = [
  'HEADERS_MISSING',
  'MESSAGE_TYPE_UNEXPECTED',
  'VALUE_MISSING',
  'UNDECODABLE',
  'FIELD_MISSING',
  'FIELD_INVALID',
  'SCHEMA_UNKNOWN',
  'KEY_MISMATCH',
  'LENGTH_MISMATCH',
  'TOKEN_OUT_OF_RANGE',
  'VALUE_OUT_OF_RANGE',
  'MASS_NOT_ONE',
  'FORMAT_UNKNOWN',
  'TOO_LARGE',
]
/** Of windows that the trainer cannot use. */
const WINDOW_CODES = [
  'WINDOW_INVALID',
  'WINDOW_TARGET_MISMATCH',
  'WINDOW_TOKENIZER_MISMATCH',
  'WINDOW_WITHOUT_FEATURES',
]

function aWindow(): TokenWindow {
  return TokenWindow.fromPartial({
    provenance: { schemaVersion: 1, targetFingerprint: 'f', tokenizerHash: 't' },
    sampleId: 's',
    vocabSize: 8,
    tokenIds: [1, 2],
    top: packTopK([1, 2, 2, 3], [0.5, 0.25, 0.5, 0.25], 2, FloatFormat.FLOAT_FORMAT_FP16),
    tailMass: [0.25, 0.25],
    sumSquares: [0.4, 0.4],
    entropy: [1, 1],
    logSumExp: [2, 2],
    tokenLogProb: [-0.7, -1],
    capturedAtMs: 1,
  })
}

export const recordTargets: readonly FuzzTarget[] = [
  recordTarget({ name: 'token-window', summary: 'records that the scorer reads', shortRuns: 2000 }, async () => {
    const { acceptWindow } = await import('@plateau/flatness-scorer')
    const { messageType } = topics.tokenDistributions
    const windows = [aWindow(), { ...aWindow(), features: Buffer.alloc(16), featureSize: 4, featureFormat: 1 }]
    return {
      corpus: windows.map((window) => recordBytes('s', messageType, TokenWindow.encode(window).finish())),
      codes: DEAD_LETTERS,
      take: acceptWindow,
    }
  }),
  recordTarget({ name: 'training-window', summary: 'records that the trainer reads', shortRuns: 2000 }, async () => {
    const { readDraftTarget } = await import('@plateau/model-files')
    const { acceptRecord, expectationsOf } = await import('@plateau/trainer')
    const model = await readDraftTarget(repositoryFile('models/tiny-target'))
    const expected = expectationsOf(model)
    const { hiddenSize, vocabSize } = model.config
    const window = {
      ...aWindow(),
      provenance: {
        ...aWindow().provenance!,
        targetFingerprint: expected.targetFingerprint,
        tokenizerHash: expected.tokenizerHash,
      },
      vocabSize,
      features: packFloats([...expected.norm!, ...expected.norm!], FloatFormat.FLOAT_FORMAT_FP16),
      featureSize: hiddenSize,
      featureFormat: FloatFormat.FLOAT_FORMAT_FP16,
    }
    const message = TrainingWindow.fromPartial({
      window,
      arm: Arm.ARM_SELECTED,
      decision: Decision.DECISION_KEEP,
      weights: [1, 1],
      policy: 'none',
    })
    return {
      corpus: [recordBytes('s', topics.trainingWindows.messageType, TrainingWindow.encode(message).finish())],
      codes: [...DEAD_LETTERS, ...WINDOW_CODES],
      take: (record) => acceptRecord(record, expected),
    }
  }),
  recordTarget({ name: 'rollout-order', summary: 'orders that serving reads', shortRuns: 1000 }, async () => {
    const { decodeOrder } = await import('@plateau/serving')
    const order = RolloutOrder.fromPartial({
      schemaVersion: 1,
      lineage: 'default',
      kind: RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE,
      version: 3,
    })
    const bytes = RolloutOrder.encode(order).finish()
    return {
      corpus: [recordBytes('default/version/3', topics.rolloutOrders.messageType, bytes)],
      codes: ['ORDER_INVALID'],
      take: decodeOrder,
    }
  }),
  recordTarget({ name: 'announcement', summary: 'drafts announced to serving', shortRuns: 1000 }, async () => {
    const { decodeAnnouncement } = await import('@plateau/serving')
    const draft = DraftCheckpoint.fromPartial({ schemaVersion: 1, lineage: 'default', version: 3, manifestPath: 'm' })
    return {
      corpus: [recordBytes('default', topics.draftCheckpoints.messageType, DraftCheckpoint.encode(draft).finish())],
      codes: ['ANNOUNCEMENT_INVALID'],
      take: (record) => decodeAnnouncement(record, 1),
    }
  }),
]

export const policies: FuzzTarget = {
  name: 'selection-policy',
  summary: 'what the trainer tells the scorer to keep',
  limits,
  shortRuns: 1500,
  open: async () => {
    const policy = SelectionPolicy.fromPartial({
      schemaVersion: 1,
      lineage: 'default',
      strategy: 'flatness',
      keep: 0.5,
      closedFormWeight: 'uniform',
      unit: 'window',
      budget: 'windows',
      sampling: 'top',
    })
    return {
      corpus: [SelectionPolicy.encode(policy).finish()],
      run: (input) => {
        const message = decodedOrUndefined(SelectionPolicy as Codec<unknown>, input)
        if (message === undefined) return false
        try {
          selectionPolicy(message.value as SelectionPolicy)
          return true
        } catch (thrown) {
          // What a domain function documents; the scorer keeps the policy before it.
          if (thrown instanceof RangeError && !WIRE_ERRORS.test(thrown.message)) return false
          throw thrown
        }
      },
    }
  },
}

export const frames: FuzzTarget = {
  name: 'confluent-frame',
  summary: "values in Confluent's wire format, and those that only look like it",
  limits,
  shortRuns: 3000,
  open: async () => ({
    corpus: [0, 1, 70].map((index) => frameConfluent(1, index, Buffer.from([10, 1, 65]))),
    run: (input) =>
      accepted(['BAD_FRAME'], () => {
        const { payload } = unframe(input)
        if (payload.length > input.length) throw new Error('a payload that is longer than its frame')
      }),
  }),
}

export const headers: FuzzTarget = {
  name: 'record-headers',
  summary: 'CloudEvents headers of any record',
  limits,
  shortRuns: 2000,
  open: async () => ({
    corpus: [recordBytes('k', 'plateau.stream.v1.TokenWindow', Buffer.alloc(0))],
    run: (input) => {
      const record = recordOf(input)
      const found = record && decodeHeaders(record.headers)
      if (found === undefined) return false
      const again = decodeHeaders(encodeHeaders(found))
      if (again?.id !== found.id || again.timeMs !== found.timeMs) throw new Error('headers change when written again')
      return true
    },
  }),
}

export const snapshots: FuzzTarget = {
  name: 'trainer-snapshot',
  summary: "the trainer's own state, as it lies in the checkpoint store",
  limits,
  shortRuns: 1000,
  open: async () => {
    const { encodeSafetensors } = await import('@plateau/model-files')
    const { decodeSnapshot } = await import('@plateau/trainer')
    const facts = JSON.stringify({ kind: 'feature-fed-head', offsets: [], learner: {} })
    return {
      corpus: [encodeSafetensors(new Map(), { format: '2', facts })],
      run: (input) => accepted(['TRAINER_STATE_INVALID'], () => decodeSnapshot(input, 's')),
    }
  },
}
