import {
  DriftKind,
  RolloutOrderKind,
  RolloutState,
  type DraftCheckpoint,
  type RolloutEvidence,
} from '@plateau/contracts'
import { sent, type SentRecord } from './records.js'

export interface HistoryOptions {
  readonly seed: number
  /** When the history ends, milliseconds since 1970. */
  readonly endMs: number
  readonly minutes: number
  readonly minutesPerVersion: number
  /** Where a version's files are; default: nowhere. */
  readonly reference?: (version: number) => { readonly manifestPath: string; readonly manifestSha256: string }
}

/** How versions end: by number modulo eight. */
const fates = ['good', 'good', 'good', 'rejected', 'good', 'good', 'rolled back', 'good'] as const
type Fate = (typeof fates)[number]

const servers = ['serving-a:7001:4be1c0d2', 'serving-b:7002:91d5aa07'] as const
const tenants = ['', 'acme'] as const
const domains = ['chat', 'code'] as const
const REPORT_MS = 5_000

/**
 * A plausible history of a lineage with two servers and of a frozen copy beside it: versions that pass, one in eight that is rejected in
 * shadow and one that is rolled back, acceptance that grows and falls when the traffic shifts in the middle, an operator who pins and
 * unpins. The last version is on canary traffic. In the order of time; the same for the same options.
 */
export function plausibleHistory(options: HistoryOptions): SentRecord[] {
  const random = seeded(options.seed)
  const startMs = options.endMs - options.minutes * 60_000
  const versions = Math.floor(options.minutes / options.minutesPerVersion)
  const entries: { atMs: number; record: SentRecord }[] = []
  const add = (atMs: number, record: SentRecord): void => void entries.push({ atMs, record })
  const live: { atMs: number; version: number }[] = []

  for (let version = 1; version <= versions; version++) {
    const atMs = startMs + (version - 1) * options.minutesPerVersion * 60_000
    const isLast = version === versions
    const last = live.at(-1)?.version ?? 0
    rollOut({ version, atMs, last, isLast, fate: fates[version % fates.length]!, options, random, add, live })
  }
  traffic({ startMs, options, random, add, live, versions })
  operator({ startMs, endMs: options.endMs, random, add, live })
  return entries.toSorted((a, b) => a.atMs - b.atMs).map(({ record }) => record)
}

type Add = (atMs: number, record: SentRecord) => void
type Live = { atMs: number; version: number }[]

function rollOut(about: {
  version: number
  atMs: number
  last: number
  isLast: boolean
  fate: Fate
  options: HistoryOptions
  random: () => number
  add: Add
  live: Live
}): void {
  const { version, atMs, last, isLast, fate, options, random, add, live } = about
  const announced = announcement(version, last, atMs, options)
  add(atMs, sent.checkpoint(`default/${version}`, announced))
  for (const server of servers) {
    const event = (
      afterMs: number,
      state: keyof typeof RolloutState,
      reason: string,
      more: { evidence?: RolloutEvidence; otherVersion?: number; swapMs?: number } = {},
    ): void => {
      const id = `${server}/${version}/${state}`
      add(
        atMs + afterMs,
        sent.rollout(id, { version, state: RolloutState[state], reason, server, atMs: atMs + afterMs, ...more }),
      )
    }
    const lag = Math.round(400 * random())
    event(200 + lag, 'ROLLOUT_STATE_ANNOUNCED', 'its files are being checked')
    event(600 + lag, 'ROLLOUT_STATE_VERIFIED', 'signature, digests, target and shapes are as they should be')
    if (version === 1) {
      event(900 + lag, 'ROLLOUT_STATE_LIVE', 'the first version: there is nothing to compare it with', {
        swapMs: 700 + lag,
      })
      continue
    }
    const shadow = evidence('windows', fate === 'rejected' ? -0.081 : 0.012, 0.02, 256, random)
    event(1000 + lag, 'ROLLOUT_STATE_SHADOW', `compared with version ${last} on held-out windows and live traffic`, {
      otherVersion: last,
      evidence: shadow,
    })
    if (fate === 'rejected' && !isLast) {
      const pairs = evidence('live-pairs', -0.085, 0.031, 143, random)
      event(
        14_000 + lag,
        'ROLLOUT_STATE_REJECTED',
        'worse than the live version by more than the margin after 143 live pairs',
        { otherVersion: last, evidence: pairs },
      )
      continue
    }
    const pairs = evidence('live-pairs', 0.014, 0.034, 131, random)
    event(
      20_000 + lag,
      'ROLLOUT_STATE_CANARY',
      '131 live pairs without a sign of being worse: a tenth of the requests use it now',
      { otherVersion: last, evidence: pairs },
    )
    if (isLast) continue
    const canary = evidence('live-acceptance', 0.011, 0.06, 1840, random)
    event(48_000 + lag, 'ROLLOUT_STATE_LIVE', 'not worse than the version before it on live pairs', {
      otherVersion: last,
      evidence: evidence('live-pairs', 0.016, 0.021, 402, random),
      swapMs: 47_000 + lag,
    })
    if (fate === 'rolled back') {
      const watch = evidence('live-pairs', -0.052, 0.018, 905, random)
      event(
        110_000 + lag,
        'ROLLOUT_STATE_ROLLED_BACK',
        'worse than the version before it since the traffic of tenant acme changed',
        { otherVersion: last, evidence: watch },
      )
    } else {
      event(100_000 + lag, 'ROLLOUT_STATE_CONFIRMED', 'not worse than the version before it by more than the margin', {
        otherVersion: last,
        evidence: canary,
      })
    }
    const replaced = `${server}/${last}/replaced-by-${version}`
    const replacedMs = atMs + 48_001 + lag
    add(
      replacedMs,
      sent.rollout(replaced, {
        version: last,
        state: RolloutState.ROLLOUT_STATE_REPLACED,
        reason: `version ${version} took its place`,
        server,
        atMs: replacedMs,
        otherVersion: version,
      }),
    )
    if (fate === 'rolled back') {
      const backMs = atMs + 110_100 + lag
      add(
        backMs,
        sent.rollout(`${server}/${last}/again-after-${version}`, {
          version: last,
          state: RolloutState.ROLLOUT_STATE_LIVE,
          reason: `version ${version} was rolled back`,
          server,
          atMs: backMs,
          otherVersion: version,
        }),
      )
    }
  }
  const order = (afterMs: number, kind: keyof typeof RolloutOrderKind, of: number, reason: string): void =>
    add(
      atMs + afterMs,
      sent.order(`order/${kind}/${version}`, {
        kind: RolloutOrderKind[kind],
        version: of,
        reason,
        orderedBy: servers[0],
        atMs: atMs + afterMs,
      }),
    )
  if (version === 1) live.push({ atMs: atMs + 900, version })
  else if (fate === 'rejected' || isLast) {
    if (!isLast) order(14_500, 'ROLLOUT_ORDER_KIND_RETIRE', version, 'worse in shadow')
  } else {
    live.push({ atMs: atMs + 48_000, version })
    if (fate === 'rolled back') {
      live.push({ atMs: atMs + 110_100, version: last })
      order(110_500, 'ROLLOUT_ORDER_KIND_RETIRE', version, 'worse on live traffic')
    } else order(100_500, 'ROLLOUT_ORDER_KIND_LIVE', version, 'confirmed on live traffic')
  }
}

function announcement(
  version: number,
  parentVersion: number,
  atMs: number,
  { reference }: HistoryOptions,
): Partial<DraftCheckpoint> {
  const alpha = 0.42 + 0.2 * (1 - 1 / version)
  return {
    version,
    parentVersion,
    manifestPath: `default/v${String(version).padStart(8, '0')}/manifest.json`,
    manifestSha256: 'ab'.repeat(32),
    ...reference?.(version),
    targetFingerprint: 'f0'.repeat(32),
    tokenizerHash: '0d'.repeat(32),
    kind: 'feature-fed-head',
    evaluation: {
      positions: 768,
      alpha,
      parentAlpha: version === 1 ? Number.NaN : alpha - 0.008,
      greedyMatch: alpha + 0.05,
    },
    trainedPositions: 4_000 * version,
    publishedAtMs: atMs,
  }
}

function evidence(
  comparison: string,
  difference: number,
  halfWidth: number,
  positions: number,
  random: () => number,
): RolloutEvidence {
  const value = 0.55 + 0.02 * random()
  const otherValue = value - difference
  const length = (a: number): number => (1 - a ** 6) / (1 - a)
  const slice = (label: string, name: string, share: number, shift: number) => ({
    label,
    name,
    positions: Math.round(positions * share),
    value: value + shift,
    otherValue,
  })
  return {
    comparison,
    positions,
    value,
    otherValue,
    difference,
    low: difference - halfWidth,
    high: difference + halfWidth,
    errorRate: 0.01,
    margin: comparison === 'live-acceptance' ? 0.1 : 0.03,
    acceptanceLength: length(value),
    otherAcceptanceLength: length(otherValue),
    requests: comparison === 'windows' ? 0 : Math.round(positions / 20),
    slices: [
      slice('tenant', '', 0.6, 0.01),
      slice('tenant', 'acme', 0.4, -0.02),
      slice('domain', 'chat', 0.7, 0.005),
      slice('domain', 'code', 0.3, -0.01),
    ],
  }
}

function traffic(about: {
  startMs: number
  options: HistoryOptions
  random: () => number
  add: Add
  live: Live
  versions: number
}): void {
  const { startMs, options, random, add, live, versions } = about
  const { endMs } = options
  for (let fromMs = startMs; fromMs + REPORT_MS <= endMs; fromMs += REPORT_MS) {
    const toMs = fromMs + REPORT_MS
    const progress = (fromMs - startMs) / (endMs - startMs)
    const shifted = progress > 0.5 ? 0.16 * Math.exp(-6 * (progress - 0.5)) : 0
    const version = live.findLast(({ atMs }) => atMs <= fromMs)?.version ?? 0
    const canary = endMs - fromMs < options.minutesPerVersion * 60_000 - 25_000 ? versions : 0
    for (const [index, server] of servers.entries()) {
      for (const tenant of tenants) {
        for (const domain of domains) {
          if (random() < 0.25) continue
          const alpha =
            0.44 + 0.2 * progress - shifted - (domain === 'code' ? 0.04 : 0) - (tenant === 'acme' ? 0.03 : 0)
          const about = { server, tenant, domain, fromMs, toMs }
          const id = `acceptance/${index}/${tenant}/${domain}/${fromMs}`
          const report = (draftVersion: string, mean: number, rounds: number): void =>
            add(
              toMs,
              sent.acceptance(`${id}/${draftVersion}`, { ...about, draftVersion, ...counts(mean, rounds, random) }),
            )
          report(String(version), alpha, 24)
          if (canary > 0) report(String(canary), alpha + 0.015, 3)
          report('prompt-lookup', 0.3, 5)
        }
      }
    }
    const id = `frozen/${fromMs}`
    add(
      toMs,
      sent.acceptance(id, {
        lineage: 'frozen',
        server: 'serving-frozen',
        draftVersion: '1',
        tenant: '',
        domain: 'chat',
        fromMs,
        toMs,
        ...counts(0.44 - (progress > 0.5 ? 0.17 : 0), 20, random),
      }),
    )
  }
  add(startMs, sent.checkpoint('frozen/1', { ...announcement(1, 0, startMs, options), lineage: 'frozen' }))
  add(
    startMs + 500,
    sent.rollout('frozen/live', {
      lineage: 'frozen',
      version: 1,
      state: RolloutState.ROLLOUT_STATE_LIVE,
      reason: 'a copy that is not trained further',
      server: 'serving-frozen',
      atMs: startMs + 500,
    }),
  )
}

/** Rounds of five proposals, each accepted with this probability after the ones before it. */
function counts(mean: number, rounds: number, random: () => number) {
  let accepted = 0
  for (let round = 0; round < rounds; round++) for (let at = 0; at < 5 && random() < mean; at++) accepted += 1
  return {
    numDrafts: rounds,
    numDraftTokens: 5 * rounds,
    numAcceptedTokens: accepted,
    numEmittedTokens: accepted + rounds,
    alphaSum: (mean + 0.02 * (random() - 0.5)) * 2 * rounds,
    alphaPositions: 2 * rounds,
    requestsFinished: random() < 0.5 ? 1 : 0,
    requestsFailed: random() < 0.01 ? 1 : 0,
  }
}

function operator(about: { startMs: number; endMs: number; random: () => number; add: Add; live: Live }): void {
  const { startMs, endMs, add, live } = about
  const at = (share: number): number => Math.round(startMs + share * (endMs - startMs))
  const pinned = live.findLast(({ atMs }) => atMs <= at(0.3))?.version ?? 1
  const pin = (atMs: number, kind: 'PIN' | 'UNPIN', reason: string): void => {
    add(
      atMs,
      sent.order(`order/${kind}`, {
        kind: RolloutOrderKind[`ROLLOUT_ORDER_KIND_${kind}`],
        version: kind === 'PIN' ? pinned : 0,
        reason,
        orderedBy: 'alice',
        atMs,
      }),
    )
    for (const server of servers) {
      add(
        atMs + 300,
        sent.rollout(`${server}/${kind}`, {
          version: pinned,
          state: RolloutState[`ROLLOUT_STATE_${kind}NED`],
          reason,
          server,
          atMs: atMs + 300,
          orderedBy: 'alice',
        }),
      )
    }
  }
  pin(at(0.3), 'PIN', 'the week-end campaign: nothing changes meanwhile')
  pin(at(0.32), 'UNPIN', 'the campaign is over')
  const drift = (
    share: number,
    kind: keyof typeof DriftKind,
    reason: string,
    value: number,
    reference: number,
    more: object = {},
  ): void =>
    add(
      at(share),
      sent.drift(`drift/${kind}`, {
        kind: DriftKind[kind],
        reason,
        value,
        reference,
        threshold: 0.25,
        count: 4096,
        atMs: at(share),
        ...more,
      }),
    )
  drift(
    0.51,
    'DRIFT_KIND_FLATNESS_SHIFTED',
    'the distribution of flatness moved: stability index 0.41 over the newest 4,096 positions',
    0.41,
    0,
    { server: 'flatness-scorer' },
  )
  drift(
    0.52,
    'DRIFT_KIND_ACCEPTANCE_FELL',
    'acceptance over a short time is 0.33, over a long time it was 0.52',
    0.33,
    0.52,
    { domain: 'chat' },
  )
  drift(0.7, 'DRIFT_KIND_FLATNESS_SETTLED', 'the distribution of flatness has settled', 0.06, 0, {
    server: 'flatness-scorer',
  })
  drift(
    0.9,
    'DRIFT_KIND_ACCEPTANCE_VERY_HIGH',
    'all but one of 512 proposals of one response were accepted: its text may repeat itself',
    0.998,
    0.98,
    { tenant: 'acme', sampleId: 'chatcmpl-5f2c81d0' },
  )
  add(
    at(0.6),
    sent.policy('policy', {
      strategy: 'flatness',
      keep: 0.5,
      closedFormWeight: 'binned',
      unit: 'window',
      stratified: true,
      atMs: at(0.6),
      evidence: 'flatness gains .0041 more than chance per 10,000 positions, by 2.3 standard errors',
      gains: [
        { stage: 'gradients', gain: 0.0041, standardError: 0.0018, count: 34 },
        { stage: 'closed-form', gain: 0.0027, standardError: 0.0009, count: 1536 },
      ],
    }),
  )
}

/** mulberry32: enough for histories. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
