/**
 * What the public topics promise beyond what the registry declares. Quality rules are functions, so that the promise in
 * the data contract is the one that was tested on real records.
 */
import {
  Acceptance,
  Arm,
  Decision,
  Drift,
  DraftCheckpoint,
  DriftKind,
  Rollout,
  RolloutState,
  ScoredWindow,
  topics,
  type TopicSpec,
} from '@plateau/contracts'

export interface Product {
  /** Name of the page: docs/topics/<slug>.md. */
  readonly slug: string
  readonly title: string
  readonly topic: TopicSpec
  readonly purpose: string
  /** What `ce_id`, the deduplication key, looks like, and when it repeats. */
  readonly idForm: string
  /** How old a record may be when it appears, while the owner keeps up. */
  readonly freshness: { readonly seconds: number; readonly of: string }
  readonly usage: string
  readonly limitations: string
  readonly rules: readonly Rule[]
  /** Field that holds the record's key. */
  readonly keyField: string
}

export interface Rule {
  readonly name: string
  readonly dimension: 'accuracy' | 'completeness' | 'conformity' | 'consistency'
  readonly description: string
  /** `key` is the record's; `value` an encoded message. */
  holds(key: string, value: Uint8Array): boolean
}

const rule =
  <T>(decode: (value: Uint8Array) => T) =>
  (
    name: string,
    dimension: Rule['dimension'],
    description: string,
    holds: (message: T, key: string) => boolean,
  ): Rule => ({
    name,
    dimension,
    description,
    holds: (key, value) => holds(decode(value), key),
  })

const scored = rule((value) => ScoredWindow.decode(value))
const checkpoint = rule((value) => DraftCheckpoint.decode(value))
const rollout = rule((value) => Rollout.decode(value))
const acceptance = rule((value) => Acceptance.decode(value))
const drift = rule((value) => Drift.decode(value))

const SHA256 = /^[0-9a-f]{64}$/
/** Sums of probabilities in 32-bit numbers. */
const ROUNDING = 1e-5

/** What a version never meets without somebody being told why. */
const EXPLAINED: readonly RolloutState[] = [
  RolloutState.ROLLOUT_STATE_REJECTED,
  RolloutState.ROLLOUT_STATE_ROLLED_BACK,
  RolloutState.ROLLOUT_STATE_PINNED,
  RolloutState.ROLLOUT_STATE_UNPINNED,
]
const COMPARISONS = ['windows', 'live-pairs', 'live-acceptance']
const OF_ONE_RESPONSE: readonly DriftKind[] = [
  DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_LOW,
  DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_HIGH,
]

const between = (low: number, high: number) => (x: number) => x >= low - ROUNDING && x <= high + ROUNDING

export const products: readonly Product[] = [
  {
    slug: 'scored-tokens',
    title: 'Scored tokens',
    topic: topics.scoredTokens as unknown as TopicSpec,
    purpose:
      'For every window of consented traffic: how flat, uncertain and predictable the target was at each token, whether gradient training may use the window, and why.',
    idForm: '`scored:<sample id>:<window index>`: one decision per window, so a window that is read twice has one id',
    freshness: { seconds: 60, of: 'scored_at_ms' },
    usage: 'Choosing training data, comparing selection policies, watching how traffic shifts.',
    limitations: 'Holds token ids, not text: they mean nothing without the tokenizer that provenance names.',
    keyField: 'sample_id',
    rules: [
      scored('key', 'consistency', 'The record key is sample_id.', (m, key) => m.sampleId === key && key !== ''),
      scored(
        'lengths',
        'consistency',
        'Every per-token list has as many numbers as token_ids; draft_overlap, draft_gain, draft_entropy, token_log_prob and gradient_weights may be empty.',
        (m) => {
          const lists = [m.flatness, m.flatnessLow, m.flatnessHigh, m.entropy, m.top1, m.margin, m.energy]
          const optional = [m.draftOverlap, m.draftGain, m.draftEntropy, m.tokenLogProb, m.gradientWeights]
          const n = m.tokenIds.length
          return (
            n > 0 && lists.every((list) => list.length === n) && optional.every((list) => [0, n].includes(list.length))
          )
        },
      ),
      scored('vocabulary', 'conformity', 'Every token id is below vocab_size.', (m) =>
        m.tokenIds.every((id) => id < m.vocabSize),
      ),
      scored(
        'flatness',
        'accuracy',
        'flatness lies in [1/sqrt(vocab_size), 1] and within [flatness_low, flatness_high].',
        (m) =>
          m.flatness.every(
            (x, i) => between(1 / Math.sqrt(m.vocabSize), 1)(x) && between(m.flatnessLow[i]!, m.flatnessHigh[i]!)(x),
          ),
      ),
      scored('probabilities', 'accuracy', 'top1, margin and draft_overlap (where it is a number) lie in [0, 1].', (m) =>
        [...m.top1, ...m.margin, ...m.draftOverlap.filter((x) => !Number.isNaN(x))].every(between(0, 1)),
      ),
      scored(
        'decided',
        'completeness',
        'arm and decision are set; the evaluation arm is never kept for gradients.',
        (m) => {
          const set = [Arm.ARM_SELECTED, Arm.ARM_CONTROL, Arm.ARM_EVALUATION].includes(m.arm)
          const decided = [Decision.DECISION_KEEP, Decision.DECISION_DROP].includes(m.decision)
          return set && decided && (m.arm !== Arm.ARM_EVALUATION || m.decision === Decision.DECISION_DROP)
        },
      ),
      scored(
        'gradient weights',
        'consistency',
        'gradient_weights are 0 or more; where there are any, one is above 0 if and only if the decision is KEEP.',
        (m) => {
          const { gradientWeights: weights } = m
          const isKept = m.decision === Decision.DECISION_KEEP
          return weights.length === 0 || (weights.every((w) => w >= 0) && weights.some((w) => w > 0) === isKept)
        },
      ),
      scored(
        'provenance',
        'completeness',
        'provenance names schema version 1, a target and a tokenizer.',
        ({ provenance }) => {
          if (provenance?.schemaVersion !== 1) return false
          return SHA256.test(provenance.targetFingerprint) && SHA256.test(provenance.tokenizerHash)
        },
      ),
    ],
  },
  {
    slug: 'draft-checkpoints',
    title: 'Draft checkpoints',
    topic: topics.draftCheckpoints as unknown as TopicSpec,
    purpose:
      'Announces every published version of a draft model: where its signed manifest is, what it was trained for, and how it did on held-out windows. The newest record of a lineage is the draft to serve.',
    idForm: '`<lineage>/<version>`: an announcement that is repeated after a crash has the same id',
    freshness: { seconds: 60, of: 'published_at_ms' },
    usage: 'Loading the newest draft into a serving system of your own; following how drafts improve.',
    limitations:
      'A reference, not the weights. Verify the manifest against manifest_sha256 and its signature before anything is loaded.',
    keyField: 'lineage',
    rules: [
      checkpoint('key', 'consistency', 'The record key is lineage.', (m, key) => m.lineage === key && key !== ''),
      checkpoint(
        'version',
        'consistency',
        'version is at least 1 and above parent_version.',
        (m) => m.version >= 1 && m.version > m.parentVersion,
      ),
      checkpoint('digests', 'completeness', 'Manifest, target and tokenizer are named by SHA-256 in hex.', (m) =>
        [m.manifestSha256, m.targetFingerprint, m.tokenizerHash].every((digest) => SHA256.test(digest)),
      ),
      checkpoint(
        'path',
        'conformity',
        'manifest_path is relative and stays inside the store.',
        (m) => m.manifestPath !== '' && !m.manifestPath.startsWith('/') && !m.manifestPath.split('/').includes('..'),
      ),
      checkpoint(
        'evaluation',
        'accuracy',
        'evaluation.alpha and evaluation.greedy_match lie in [0, 1] or are NaN.',
        (m) =>
          [m.evaluation?.alpha ?? -1, m.evaluation?.greedyMatch ?? -1].every(
            (x) => Number.isNaN(x) || between(0, 1)(x),
          ),
      ),
    ],
  },
  {
    slug: 'rollouts',
    title: 'Rollouts',
    topic: topics.rollouts as unknown as TopicSpec,
    purpose:
      'What each serving process did with each published draft version, why, and what was measured: announced, verified, compared in shadow and as a canary, live, confirmed, rejected, rolled back, replaced.',
    idForm: 'a random UUID per event; a record that is delivered again has the same one',
    freshness: { seconds: 10, of: 'at_ms' },
    usage:
      'Marking version changes in dashboards; alerting on versions that are rejected or rolled back; reading what two versions were compared on; measuring time to serve.',
    limitations:
      'Events of 30 days. Every server tells of itself: several may say the same of a version, and differ for moments.',
    keyField: 'lineage',
    rules: [
      rollout('key', 'consistency', 'The record key is lineage.', (m, key) => m.lineage === key && key !== ''),
      rollout(
        'state',
        'completeness',
        'state is set, version is at least 1, server is named.',
        (m) => m.state >= RolloutState.ROLLOUT_STATE_ANNOUNCED && m.version >= 1 && m.server !== '',
      ),
      rollout(
        'reason',
        'completeness',
        'A version that is rejected, rolled back, pinned or unpinned has a reason.',
        (m) => !EXPLAINED.includes(m.state) || m.reason !== '',
      ),
      rollout(
        'other version',
        'consistency',
        'other_version is another one than version, or 0.',
        (m) => m.otherVersion === 0 || m.otherVersion !== m.version,
      ),
      rollout(
        'evidence',
        'accuracy',
        'Evidence names what was compared (windows, live-pairs, live-acceptance); value and other_value lie in [0, 1], low is not above high, error_rate lies in (0, 1).',
        ({ evidence }) => {
          if (evidence === undefined) return true
          const { comparison, value, otherValue, low, high, errorRate } = evidence
          const isMeasured = [value, otherValue].every(between(0, 1)) && low <= high
          return COMPARISONS.includes(comparison) && isMeasured && errorRate > 0 && errorRate < 1
        },
      ),
      rollout(
        'slices',
        'conformity',
        'Slices of the evidence are of a tenant or of a domain.',
        (m) => m.evidence?.slices.every(({ label }) => label === 'tenant' || label === 'domain') ?? true,
      ),
    ],
  },
  {
    slug: 'acceptance',
    title: 'Acceptance',
    topic: topics.acceptance as unknown as TopicSpec,
    purpose:
      'How well each draft version is accepted in production: counters per server, tenant and domain, as deltas that add up.',
    idForm: 'a random UUID per record; a record that is delivered again has the same one',
    freshness: { seconds: 10, of: 'to_ms' },
    usage:
      'Acceptance rate = num_accepted_tokens / num_draft_tokens; mean acceptance length = 1 + num_accepted_tokens / num_drafts.',
    limitations: 'Counters only. A server that is killed takes at most its last interval with it, uncounted.',
    keyField: 'draft_version',
    rules: [
      acceptance(
        'key',
        'consistency',
        'The record key is draft_version.',
        (m, key) => m.draftVersion === key && key !== '',
      ),
      acceptance('interval', 'consistency', 'to_ms is not before from_ms.', (m) => m.toMs >= m.fromMs && m.fromMs > 0),
      acceptance(
        'counts',
        'accuracy',
        'num_accepted_tokens is at most num_draft_tokens and is the sum of its positions.',
        (m) => {
          const byPosition = m.numAcceptedTokensPerPos.reduce((sum, n) => sum + n, 0)
          return m.numAcceptedTokens <= m.numDraftTokens && byPosition === m.numAcceptedTokens
        },
      ),
      acceptance('alpha', 'accuracy', 'alpha_sum lies in [0, alpha_positions].', (m) =>
        between(0, m.alphaPositions)(m.alphaSum),
      ),
    ],
  },
  {
    slug: 'drift',
    title: 'Drift',
    topic: topics.drift as unknown as TopicSpec,
    purpose:
      'That the traffic is not what it was: its flatness is distributed otherwise, acceptance fell below what it was over a long time, or hardly anything, or all but everything, of one response was accepted.',
    idForm:
      '`flatness:<domain>:<sample id>:<window index>` of the window that showed it; of acceptance a random UUID per event; a record that is delivered again has the same one',
    freshness: { seconds: 10, of: 'at_ms' },
    usage:
      'Alerting on shifts of the traffic, beside the time that the draft needs to follow them; finding responses to look at.',
    limitations:
      'Signs, not causes. Every process watches the traffic that it sees, since it started; of unusual responses a server says six a minute at most. What shifted is settled when the old traffic comes back or the new one has become usual.',
    keyField: 'lineage',
    rules: [
      drift('key', 'consistency', 'The record key is lineage.', (m, key) => m.lineage === key && key !== ''),
      drift(
        'said',
        'completeness',
        'kind is set, there is a reason, server is named, count is at least 1.',
        (m) => m.kind >= DriftKind.DRIFT_KIND_FLATNESS_SHIFTED && m.reason !== '' && m.server !== '' && m.count >= 1,
      ),
      drift(
        'flatness',
        'accuracy',
        'Of flatness, value is an index of 0 or more and reference is 0: at least threshold where it shifted, at most threshold where it settled.',
        ({ kind, value, reference, threshold }) => {
          if (kind === DriftKind.DRIFT_KIND_FLATNESS_SHIFTED) return reference === 0 && value >= threshold
          if (kind === DriftKind.DRIFT_KIND_FLATNESS_SETTLED) return reference === 0 && between(0, threshold)(value)
          return true
        },
      ),
      drift('acceptance', 'accuracy', 'Of acceptance, value, reference and threshold lie in [0, 1].', (m) => {
        const isFlatness = m.kind <= DriftKind.DRIFT_KIND_FLATNESS_SETTLED
        return isFlatness || [m.value, m.reference, m.threshold].every(between(0, 1))
      }),
      drift(
        'response',
        'consistency',
        'sample_id is set where it is about one response, and only there.',
        (m) => OF_ONE_RESPONSE.includes(m.kind) === (m.sampleId !== ''),
      ),
    ],
  },
]
