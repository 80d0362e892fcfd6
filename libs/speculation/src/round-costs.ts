import { Least, Mean } from './running-mean.js'
import type { SpeculationRound } from './speculation-controller.js'
import { StepTimes } from './step-times.js'

/** Rounds that the loss to a silent draft looks back on. */
const SILENCE_MEMORY = 48

/** What rounds take, learned from rounds. Microseconds. */
export class RoundCosts {
  readonly #targetStep: StepTimes
  readonly #draftStep = new Mean()
  /** What a round that asks the draft loses on average to finding that it has no opinion. */
  readonly #silence = new Mean()
  readonly #overhead = { plain: new Least(), speculative: new Least() }

  constructor(maxProposal: number) {
    this.#targetStep = new StepTimes(maxProposal + 1)
  }

  /** A plain round has been timed: without one there is nothing to compare with. */
  get plainTimed(): boolean {
    return this.#targetStep.timed(1)
  }

  get draftTimed(): boolean {
    return this.#draftStep.weight > 0
  }

  /** The proposal length, up to `most`, whose target step was seen least, and how much. */
  leastSeen(most: number): { readonly proposal: number; readonly weight: number } {
    const { positions, weight } = this.#targetStep.leastSeen(most + 1)
    return { proposal: positions - 1, weight }
  }

  observe(round: SpeculationRound): void {
    const { proposed, targetUs, exchangeUs = targetUs, draftUs, draftCaughtUpFirst = false } = round
    this.#targetStep.observe(proposed + 1, targetUs)
    this.#overhead[proposed > 0 ? 'speculative' : 'plain'].observe(Math.max(0, exchangeUs - targetUs))
    if (draftUs <= 0) return
    const spoke = proposed > 0 && round.source !== 'lookup'
    this.#silence.observe(spoke ? 0 : draftUs, SILENCE_MEMORY)
    if (!spoke) return
    const stepUs = draftUs / proposed
    if (!draftCaughtUpFirst || stepUs < this.#draftStep.value) this.#draftStep.observeTime(stepUs)
  }

  /** Of a round that proposes `count` tokens which are at hand; 0 = a plain round. */
  roundUs(count: number): number {
    const { plain, speculative } = this.#overhead
    const overheadUs = (count > 0 ? speculative.value : undefined) ?? plain.value ?? 0
    return this.#targetStep.at(count + 1) + overheadUs
  }

  /** Of a round whose `count` tokens the draft proposes. */
  draftedUs(count: number): number {
    return this.roundUs(count) + (count > 0 ? count * this.#draftStep.value + this.#silence.value : 0)
  }

  /** What taking turns costs a plain round, as a share of it. */
  get turnShare(): number {
    const us = this.#overhead.plain.value ?? 0
    return us / (us + this.#targetStep.at(1))
  }
}
