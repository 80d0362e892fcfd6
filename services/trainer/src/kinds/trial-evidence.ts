import type { KeepRuleBandit, PairedGain } from '@plateau/training'
import { RANDOM } from './rule-arms.js'

/** Of a normal distribution, on either side: 95 % of it lies within. */
const INTERVAL = 1.96

/** What the trials have shown so far, for a person: gains are in alpha per 10,000 trained positions, with 95 % intervals. */
export function evidenceOf(bandit: KeepRuleBandit, arms: readonly string[], chosen: string): string {
  const measured = arms
    .filter((arm) => arm !== RANDOM && Number.isFinite(bandit.overBaseline(arm).standardError))
    .map((arm) => `${arm} ${intervalText(bandit.overBaseline(arm))} in ${roundsText(bandit.value(arm).count)}`)
  const choice =
    chosen === RANDOM ? 'no rule gains more than noise, so everything is kept' : `windows are kept by ${chosen}`
  if (measured.length === 0) return `Gradients: keep rules are on trial; ${choice}.`
  return `Gradients: ${choice}; gain in alpha per 10,000 positions over random: ${measured.join(', ')}.`
}

function intervalText({ gain, standardError }: PairedGain): string {
  return `${rounded(gain)} (${rounded(gain - INTERVAL * standardError)} to ${rounded(gain + INTERVAL * standardError)})`
}

function roundsText(count: number): string {
  return count < 1.5 ? '1 round' : `${Math.round(count)} rounds`
}

function rounded(value: number): string {
  return value.toFixed(4)
}
