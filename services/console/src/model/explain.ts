import { RolloutState, type Rollout, type RolloutEvidence } from '@plateau/contracts'
import { phaseOf, pinnedVersion, type Phase } from './phases.js'
import type { LineageState, VersionState } from './state.js'

/** What became of a version and why, in one sentence of plain text. */
export function explain(lineage: LineageState, version: VersionState): string {
  const phase = phaseOf(lineage, version)
  const event = decisiveEvent(version, phase)
  const by = event === undefined || event.orderedBy === '' ? '' : ` by order of ${event.orderedBy}`
  const pinned = pinnedVersion(lineage) === version.version ? ' and pinned' : ''
  const why =
    event === undefined
      ? reasonOfOrder(version, phase)
      : reasonOf(phase === 'replaced' ? promotion(version, event) : event)
  return `Version ${version.version} ${told[phase](event)}${by}${pinned}${why === '' ? '.' : `: ${withStop(why)}`}`
}

/** The event that the phase stands on: of a live version the one that made it so, of a refused one its refusal. */
export function decisiveEvent(version: VersionState, phase: Phase): Rollout | undefined {
  const states = deciding[phase]
  return version.events.findLast(({ state }) => states.includes(state))
}

/** "+0.021 (0.004 to 0.038) over 412 positions, margin 0.030". */
export function evidenceInWords({ difference, low, high, positions, margin }: RolloutEvidence): string {
  const interval = `${signed(difference)} (${signed(low)} to ${signed(high)})`
  return `${interval} over ${positions.toLocaleString('en')} positions, margin ${margin.toFixed(3)}`
}

/** Three digits and always a sign. */
export function signed(value: number): string {
  if (!Number.isFinite(value)) return 'none'
  const text = Math.abs(value).toFixed(3)
  return Number(text) === 0 ? '0.000' : `${value < 0 ? '−' : '+'}${text}`
}

const told: Readonly<Record<Phase, (event: Rollout | undefined) => string>> = {
  unknown: () => 'was not announced, as far as the log goes back',
  announced: () => 'is announced, and no server has taken it up yet',
  verified: () => 'is verified and waits for its turn',
  shadow: (event) => `is in shadow, compared${against(event)}`,
  canary: (event) => `is on canary traffic, compared${against(event)}`,
  live: () => 'is live, and watched',
  confirmed: () => 'is live, and confirmed',
  replaced: (event) =>
    event !== undefined && event.otherVersion > 0
      ? `was live until version ${event.otherVersion} took its place; it went live`
      : 'was live and has been replaced; it went live',
  rejected: () => 'was rejected',
  'rolled back': (event) =>
    `was rolled back${event !== undefined && event.otherVersion > 0 ? `, and version ${event.otherVersion} took its place` : ''}`,
  retired: () => 'is retired and is not served again',
}

const deciding: Readonly<Record<Phase, readonly RolloutState[]>> = {
  unknown: [],
  announced: [RolloutState.ROLLOUT_STATE_ANNOUNCED],
  verified: [RolloutState.ROLLOUT_STATE_VERIFIED],
  shadow: [RolloutState.ROLLOUT_STATE_SHADOW],
  canary: [RolloutState.ROLLOUT_STATE_CANARY],
  live: [RolloutState.ROLLOUT_STATE_LIVE],
  confirmed: [RolloutState.ROLLOUT_STATE_CONFIRMED],
  replaced: [RolloutState.ROLLOUT_STATE_REPLACED, RolloutState.ROLLOUT_STATE_LIVE],
  rejected: [RolloutState.ROLLOUT_STATE_REJECTED],
  'rolled back': [RolloutState.ROLLOUT_STATE_ROLLED_BACK],
  retired: [],
}

/** Why a replaced version had gone live. */
function promotion({ events }: VersionState, replaced: Rollout): Rollout {
  return events.find(({ state }) => state === RolloutState.ROLLOUT_STATE_LIVE) ?? replaced
}

function against(event: Rollout | undefined): string {
  return event !== undefined && event.otherVersion > 0 ? ` with version ${event.otherVersion}` : ''
}

function reasonOf({ reason, evidence }: Rollout): string {
  if (reason !== '') return reason
  return evidence === undefined ? '' : evidenceInWords(evidence)
}

function reasonOfOrder({ orders }: VersionState, phase: Phase): string {
  const given = phase === 'retired' ? orders.at(-1) : undefined
  if (given === undefined) return ''
  return given.reason === '' ? `ordered by ${given.orderedBy}` : `${given.reason} (ordered by ${given.orderedBy})`
}

function withStop(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`
}
