/** What serving did with versions, and what it measured, in a person's words. */
import { Rollout, RolloutOrderKind, RolloutState, type RolloutEvidence, type RolloutOrder } from '@plateau/contracts'
import { table } from '../table.js'

/** "live", "rolled_back": the enum's name without its prefix, for machines. */
export function stateName(state: RolloutState): string {
  return (RolloutState[state] ?? `state ${state}`).replace('ROLLOUT_STATE_', '').toLowerCase()
}

/** "rolled back". */
export function stateText(state: RolloutState): string {
  return stateName(state).replaceAll('_', ' ')
}

export function orderName(kind: RolloutOrderKind): string {
  return (RolloutOrderKind[kind] ?? `order ${kind}`).replace('ROLLOUT_ORDER_KIND_', '').toLowerCase()
}

/** One event in one line, with the difference that decided it. */
export function eventLine(rollout: Rollout): string {
  const { atMs, server, lineage, version, reason, orderedBy, evidence, otherVersion } = rollout
  const swap = rollout.swapMs > 0 ? ` (${rollout.swapMs} ms after it was announced)` : ''
  const what = `${lineage} version ${version} ${stateText(rollout.state)}${swap}`
  const why = reason === '' ? '' : `: ${reason}`
  const measured = evidence === undefined ? '' : ` [${differenceText(evidence)}${against(otherVersion)}]`
  const who = orderedBy === '' ? '' : ` (ordered by ${orderedBy})`
  return `${time(atMs)}  ${server}  ${what}${why}${measured}${who}`
}

/** One event with all that was measured, over several lines. */
export function eventParagraph(rollout: Rollout): string {
  const { atMs, server, swapMs, reason, orderedBy, evidence, otherVersion } = rollout
  const swap = swapMs > 0 ? `, ${swapMs} ms after it was announced` : ''
  const lines = [
    `${time(atMs)}  ${stateText(rollout.state)}${swap}  (${server})`,
    ...(reason === '' ? [] : [`    ${reason}`]),
    ...(orderedBy === '' ? [] : [`    ordered by ${orderedBy}`]),
    ...(otherVersion === 0 ? [] : [`    other version: ${otherVersion}`]),
    ...(evidence === undefined ? [] : evidenceLines(evidence).map((line) => `    ${line}`)),
  ]
  return lines.join('\n')
}

export function orderLine({ atMs, kind, reason, orderedBy }: RolloutOrder): string {
  return `${time(atMs)}  ${orderName(kind)} by ${orderedBy}: ${reason}`
}

/** "live-pairs +0.0120, -0.0031 to +0.0271". */
export function differenceText({ comparison, difference, low, high }: RolloutEvidence): string {
  return `${comparison} ${signed(difference)}, ${signed(low)} to ${signed(high)}`
}

function evidenceLines(evidence: RolloutEvidence): string[] {
  const { comparison, value, otherValue, errorRate, margin, positions, requests, slices } = evidence
  const what = COMPARED[comparison] ?? comparison
  return [
    `${comparison}: ${what}`,
    `it ${value.toFixed(4)}, the other ${otherValue.toFixed(4)}: difference ${signed(evidence.difference)}, between ` +
      `${signed(evidence.low)} and ${signed(evidence.high)} (wrong at most ${percent(errorRate)} of the time); ` +
      `may be ${margin} worse`,
    `${evidence.acceptanceLength.toFixed(2)} tokens a round of five proposals, the other ` +
      `${evidence.otherAcceptanceLength.toFixed(2)}; over ${positions} positions and ${requests} requests`,
    ...(slices.length === 0 ? [] : sliceTable(evidence).trimEnd().split('\n')),
  ]
}

const COMPARED: Readonly<Record<string, string>> = {
  windows: 'mean alpha on windows that neither was trained on',
  'live-pairs': 'mean alpha of both at the same positions of live responses',
  'live-acceptance': 'accepted of judged proposals, of requests that used one or the other',
}

function sliceTable({ slices }: RolloutEvidence): string {
  const rows = slices.map(({ label, name, positions, value, otherValue }) => [
    label,
    name === '' ? '(none)' : name,
    positions,
    value.toFixed(4),
    otherValue.toFixed(4),
    signed(value - otherValue),
  ])
  return table(['traffic', 'name', 'positions', 'it', 'the other', 'difference'], rows)
}

export function time(ms: number): string {
  return new Date(ms).toISOString()
}

function against(version: number): string {
  return version === 0 ? '' : ` against version ${version}`
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(4)}`
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}
