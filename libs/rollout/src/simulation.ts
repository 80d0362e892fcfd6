/** Trials of versions on traffic that is drawn: how often a good one is thrown out, and how soon a bad one is. */
import { normal, type Random } from '@plateau/speculation'
import { shareOf } from './canary-share.js'
import type { RolloutPhase } from './rollout-phases.js'
import type { TrialOptions } from './trial-options.js'
import { VersionTrial } from './version-trial.js'

export interface SimulatedTrials {
  readonly trials: number
  readonly options: TrialOptions
  readonly responses: Responses
  /** Live positions of the watch after which the responses are others; undefined: they stay what they are. */
  readonly turnsAfterPositions?: number
  /** Live positions of the watch that a trial is followed for, beyond the turn where there is one. */
  readonly watchedPositions: number
  readonly traffic?: Partial<SimulatedTraffic>
}

/** Alpha of the version and of the incumbent at each position of a response. */
export type PairedResponse = readonly (readonly [number, number])[]
export type Responses = (hasTurned: boolean, random: Random) => PairedResponse

/** Recorded ones, each as likely at any time; once turned, those of `after`. */
export function recordedResponses(
  before: readonly PairedResponse[],
  after: readonly PairedResponse[] = before,
): Responses {
  return (hasTurned, random) => {
    const responses = hasTurned ? after : before
    return responses[Math.floor(random() * responses.length)]!
  }
}

export interface MadeUpResponses {
  /** Mean alpha of the version minus that of the incumbent. */
  readonly difference: number
  /** The same once turned. */
  readonly turnsTo: number
  readonly tokens: number
  /** Standard deviation of d at a position, all in all; part of it is the response's own. */
  readonly sd: number
  readonly responseSd: number
  /** Of the AR(1) noise, from one position to the next. */
  readonly correlation: number
}

/**
 * At each position
 *
 *     alpha of the version   = level + d / 2        level: of the response, normal around .55
 *     alpha of the incumbent = level - d / 2        d = difference + response's own + AR(1) noise
 *
 * so that d depends on what it was before within a response, and its mean on which response it is.
 */
export function madeUpResponses(wanted: Partial<MadeUpResponses>): Responses {
  const made = { difference: 0, turnsTo: 0, tokens: 64, sd: 0.15, responseSd: 0.03, correlation: 0.4, ...wanted }
  return (hasTurned, random) => madeUpResponse(hasTurned ? made.turnsTo : made.difference, made, random)
}

export interface SimulatedTraffic {
  readonly requestsPerSecond: number
  /** Share of responses whose positions both drafts are compared on. */
  readonly pairedShare: number
  /** Share of requests that a canary takes. */
  readonly canaryShare: number
  /** Share of requests that stay on the incumbent while the version is live and not confirmed. */
  readonly holdbackShare: number
  /** Held-out windows of a response's length that wait when the version comes; of new responses this share adds one. */
  readonly windows: number
  readonly heldOutShare: number
}

export const standardTraffic: SimulatedTraffic = {
  requestsPerSecond: 5,
  pairedShare: 1,
  canaryShare: 0.2,
  holdbackShare: 0.2,
  windows: 8,
  heldOutShare: 0.05,
}

export interface SimulatedTrial {
  /** Where it was left, or stood at the end. */
  readonly phase: RolloutPhase
  /** It was rejected in this one, or rolled back from it; undefined where it stayed. */
  readonly leftFrom: RolloutPhase | undefined
  /** Live positions that both drafts were compared on until it went live, and from its turn for the worse until it left. */
  readonly positionsToLive: number | undefined
  readonly positionsToLeave: number | undefined
  readonly reason: string
}

const LEVEL = 0.55
const LEVEL_SD = 0.1

export function simulateTrials(simulated: SimulatedTrials, random: Random): SimulatedTrial[] {
  return Array.from({ length: simulated.trials }, (_, i) => simulateTrial(simulated, `trial ${i}`, random))
}

function simulateTrial(simulated: SimulatedTrials, name: string, random: Random): SimulatedTrial {
  const { options, responses, turnsAfterPositions, watchedPositions } = simulated
  const turn = turnsAfterPositions ?? Number.POSITIVE_INFINITY
  const followedPositions = (turnsAfterPositions ?? 0) + watchedPositions
  const traffic = { ...standardTraffic, ...simulated.traffic }
  const trial = new VersionTrial(options, 1)
  let [positions, positionsToLive, reason] = [0, undefined as number | undefined, '']
  const watched = (): number => (positionsToLive === undefined ? 0 : positions - positionsToLive)
  const hasTurned = (): boolean => positionsToLive !== undefined && watched() >= turn
  trial.begin('shadow', 0)
  for (let i = 0; i < traffic.windows; i++) {
    for (const pair of responses(false, random))
      trial.observeWindowPair(...pair, { ...ANYONE, sampleId: `window ${i}` })
  }
  for (let i = 0; watched() < followedPositions; i++) {
    const response = responses(hasTurned(), random)
    const labels = { ...ANYONE, sampleId: `response ${i}` }
    if (random() < traffic.heldOutShare) for (const pair of response) trial.observeWindowPair(...pair, labels)
    else if (random() < traffic.pairedShare) {
      for (const pair of response) trial.observeLivePair(...pair, labels)
      positions += response.length
    }
    observeAcceptance(trial, shareOf(`${i}`, name) < shareIn(trial.phase, traffic), response, random)
    const nowMs = (1000 * (i + 1)) / traffic.requestsPerSecond
    const leftFrom = trial.phase
    const move = trial.decide(nowMs)
    if (move === undefined) continue
    reason = move.reason
    if (move.to === 'rejected' || move.to === 'rolled-back') {
      const positionsToLeave = turnsAfterPositions === undefined ? positions : watched() - turnsAfterPositions
      return { phase: move.to, leftFrom, positionsToLive, positionsToLeave, reason }
    }
    if (move.to === 'live') positionsToLive = positions
    if (move.to !== 'confirmed') trial.begin(move.to, nowMs)
  }
  return { phase: trial.phase, leftFrom: undefined, positionsToLive, positionsToLeave: undefined, reason }
}

const ANYONE = { tenant: '', domain: '' }

function madeUpResponse(difference: number, made: MadeUpResponses, random: Random): PairedResponse {
  const { sd, responseSd, correlation, tokens } = made
  const level = LEVEL + LEVEL_SD * normal(random)
  const centre = difference + responseSd * normal(random)
  const positionSd = Math.sqrt(sd ** 2 - responseSd ** 2)
  let noise = positionSd * normal(random)
  return Array.from({ length: tokens }, () => {
    const d = centre + noise
    noise = correlation * noise + positionSd * Math.sqrt(1 - correlation ** 2) * normal(random)
    return [withinUnit(level + d / 2), withinUnit(level - d / 2)]
  })
}

function observeAcceptance(trial: VersionTrial, isCandidate: boolean, response: PairedResponse, random: Random): void {
  const accepted = response.filter((alphas) => random() < alphas[isCandidate ? 0 : 1]).length
  trial.observeResponse(isCandidate ? 'candidate' : 'incumbent', accepted, response.length, ANYONE)
}

function shareIn(phase: RolloutPhase, { canaryShare, holdbackShare }: SimulatedTraffic): number {
  if (phase === 'confirmed') return 0.99
  if (phase === 'live') return 1 - holdbackShare
  return phase === 'canary' ? canaryShare : 0
}

function withinUnit(alpha: number): number {
  return Math.min(1, Math.max(0, alpha))
}
