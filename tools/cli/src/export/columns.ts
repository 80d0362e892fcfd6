import { armName, decisionName, gradientWeightOf, type ExportedWindow } from './exported-window.js'

export type CellType = 'string' | 'bool' | 'int32' | 'int64' | 'float' | 'timestamp'

/** One column of the files. What it says here is what the directory's README says. */
export interface Column<Row> {
  readonly name: string
  readonly type: CellType
  readonly isList: boolean
  readonly meaning: string
  /** Null where the record does not know. */
  of(row: Row): unknown
}

/** How records become rows. */
export interface RowKind<Row = unknown> {
  readonly name: 'windows' | 'tokens'
  readonly columns: readonly Column<Row>[]
  readonly rowsOf: (window: ExportedWindow) => readonly Row[]
  /** How many rowsOf would return. */
  readonly rowsIn: (window: ExportedWindow) => number
}

type TokenRow = ExportedWindow & { readonly i: number }

/** Per token in the message, so a list in a row for each window and a number in a row for each token. */
const measured = [
  ['flatness', 'cos(p, uniform) of the target distribution: the middle of the certified interval'],
  ['flatness_low', 'lower bound of the interval that certainly holds the flatness'],
  ['flatness_high', 'upper bound of that interval'],
  ['entropy', 'Shannon entropy in nats'],
  ['top1', 'probability of the most probable token'],
  ['margin', 'most probable minus second most probable'],
  ['energy', '-log sum exp(logits)'],
  ['draft_overlap', 'sum of min(p, q); where no draft proposed: NaN in a list, null in a row of its own'],
  ['draft_gain', 'what draft_overlap would gain, to first order, from a step on KL(p || q); unknown as draft_overlap'],
  ['draft_entropy', "Shannon entropy of the draft's q in nats; unknown as draft_overlap"],
  ['token_log_prob', 'log probability of the emitted token'],
] as const

const GRADIENT_WEIGHTS =
  'what the token counts in gradient training: 0 when decision is drop, arm is evaluation or the token is context only'

const fields = {
  flatness: 'flatness',
  flatness_low: 'flatnessLow',
  flatness_high: 'flatnessHigh',
  entropy: 'entropy',
  top1: 'top1',
  margin: 'margin',
  energy: 'energy',
  draft_overlap: 'draftOverlap',
  draft_gain: 'draftGain',
  draft_entropy: 'draftEntropy',
  token_log_prob: 'tokenLogProb',
} as const

const identity: readonly Column<ExportedWindow>[] = [
  one('sample_id', 'string', 'the response that the window belongs to', ({ window }) => window.sampleId),
  one('window_index', 'int32', "0 for the sample's first window, then 1, 2, ...", ({ window }) => window.windowIndex),
]

const verdict: readonly Column<ExportedWindow>[] = [
  one('decision', 'string', 'keep or drop: whether gradients may use it', ({ window }) =>
    decisionName(window.decision),
  ),
  one('arm', 'string', 'selected, control (kept at random) or evaluation (never train on it)', ({ window }) =>
    armName(window.arm),
  ),
  one('score', 'float', "the policy's score of the window", ({ window }) => numeric(window.score)),
  one('threshold', 'float', 'what the score was compared with; null while the scorer warmed up', ({ window }) =>
    numeric(window.threshold),
  ),
  one('perplexity', 'float', 'exp of the mean negative log probability of the emitted tokens', ({ window }) =>
    numeric(window.perplexity),
  ),
  one('policy', 'string', 'the policy that decided', ({ window }) => window.policy),
  list('kept_by', 'string', 'rules under trial that would have kept the window; null when none would', ({ window }) =>
    nonEmpty(window.keptBy),
  ),
]

const provenance: readonly Column<ExportedWindow>[] = [
  one('last', 'bool', "whether it is the sample's last window", ({ window }) => window.last),
  one('tenant', 'string', 'whose request it was; empty for the default tenant', ({ window }) => window.tenant),
  one('domain', 'string', "the caller's label for the kind of traffic", ({ window }) => window.domain),
  one('vocab_size', 'int32', "size of the target's vocabulary", ({ window }) => window.vocabSize),
  one('captured_at', 'timestamp', 'when the window was captured', ({ window }) => new Date(window.capturedAtMs)),
  one('scored_at', 'timestamp', 'when it was scored', ({ window }) => new Date(window.scoredAtMs)),
  one('schema_version', 'int32', 'of the message', ({ window }) => window.provenance?.schemaVersion ?? null),
  one(
    'target_fingerprint',
    'string',
    'SHA-256 over the target: two with one fingerprint are one model',
    ({ window }) => window.provenance?.targetFingerprint ?? null,
  ),
  one(
    'tokenizer_hash',
    'string',
    'SHA-256 of the tokenizer: token ids mean nothing without it',
    ({ window }) => window.provenance?.tokenizerHash ?? null,
  ),
  one(
    'draft_version',
    'string',
    'the draft that took part; empty when none did',
    ({ window }) => window.provenance?.draftVersion ?? null,
  ),
  one(
    'source_partition',
    'int32',
    'where the captured window lies in token-distributions',
    ({ window }) => window.sourcePartition,
  ),
  one('source_offset', 'int64', 'and at which offset', ({ window }) => BigInt(window.sourceOffset)),
  one('partition', 'int32', "the record's partition in scored-tokens", ({ partition }) => partition),
  one('offset', 'int64', 'and its offset', ({ offset }) => BigInt(offset)),
  one('ce_id', 'string', 'names the fact for ever; each is in these files once', ({ ceId }) => ceId),
]

const windowRows: RowKind<ExportedWindow> = {
  name: 'windows',
  columns: [
    ...identity,
    one(
      'start_position',
      'int32',
      "index of the window's first token within the response",
      ({ window }) => window.startPosition,
    ),
    list('token_ids', 'int32', 'the emitted tokens, in order', ({ window }) => window.tokenIds),
    list('input_ids', 'int32', 'the same, under the name that trainers read', ({ window }) => window.tokenIds),
    list('loss_mask', 'int32', '1 for each token that may be trained on: gradient_weights is above 0', ({ window }) =>
      window.tokenIds.map((_, i) => maskOf(window, i)),
    ),
    list('gradient_weights', 'float', GRADIENT_WEIGHTS, ({ window }) =>
      window.tokenIds.map((_, i) => gradientWeightOf(window, i)),
    ),
    ...measured.map(([name, meaning]) =>
      list<ExportedWindow>(name, 'float', meaning, ({ window }) => nonEmpty(window[fields[name]])),
    ),
    ...verdict,
    ...provenance,
  ],
  rowsOf: (window) => [window],
  rowsIn: () => 1,
}

const tokenRows: RowKind<TokenRow> = {
  name: 'tokens',
  columns: [
    ...identity,
    one('position', 'int32', 'index of the token within the response', ({ window, i }) => window.startPosition + i),
    one('token_id', 'int32', 'the emitted token', ({ window, i }) => window.tokenIds[i]),
    one('loss_mask', 'int32', '1 when the token may be trained on: gradient_weights is above 0', ({ window, i }) =>
      maskOf(window, i),
    ),
    one('gradient_weights', 'float', GRADIENT_WEIGHTS, ({ window, i }) => gradientWeightOf(window, i)),
    ...measured.map(([name, meaning]) =>
      one<TokenRow>(name, 'float', meaning, ({ window, i }) => numeric(window[fields[name]][i])),
    ),
    ...verdict,
    ...provenance,
  ],
  rowsOf: (window) => window.window.tokenIds.map((_, i) => ({ ...window, i })),
  rowsIn: ({ window }) => window.tokenIds.length,
}

export const rowKinds = { windows: windowRows as RowKind, tokens: tokenRows as unknown as RowKind } as const

function one<Row>(name: string, type: CellType, meaning: string, of: (row: Row) => unknown): Column<Row> {
  return { name, type, isList: false, meaning, of }
}

function list<Row>(name: string, type: CellType, meaning: string, of: (row: Row) => unknown): Column<Row> {
  return { name, type, isList: true, meaning, of }
}

/** NaN is how the message says "unknown"; a table says it with null. */
function numeric(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value
}

function maskOf(window: ExportedWindow['window'], i: number): number {
  return gradientWeightOf(window, i) > 0 ? 1 : 0
}

function nonEmpty<T>(values: readonly T[]): readonly T[] | null {
  return values.length === 0 ? null : values
}
