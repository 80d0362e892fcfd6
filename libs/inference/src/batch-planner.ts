/**
 * Decides which steps run together next. Pure: no clock, no engine.
 *
 *     waiting ──next()──▶ running ──return──▶ waiting (at the end of the line) ... until its tokens are computed
 *        └────remove()────────┴──remove()──▶ gone
 *
 * Steps wait in lines: one for each class of length, as only sequences of like length share buffers, and in each class
 * one for short steps (decoding, verification) and one for long ones (prompts). Lines that have someone waiting take
 * turns. Within a line, first come, first served: a turn takes from the front as many as fit one run; who does not fit
 * is then in front. A prompt gets a chunk per turn and goes to the end of its line.
 *
 * So with n steps ahead of it in its line and m lines in use, a step computes after at most (n + 1) m runs, each bounded
 * by `chunkTokens`: nobody starves, whatever the lengths.
 */

export interface Waiting {
  /** Which sequences it can share a run with. */
  readonly lengthClass: number
  /** Tokens that are still to be computed. */
  readonly remaining: number
}

export interface Planned<Step> {
  readonly step: Step
  /** Tokens to compute in this run. */
  readonly count: number
}

export interface BatchLimits {
  /** Most tokens of a run. */
  readonly chunkTokens: number
  /** Most tokens of a run of prompts while others decode: so long may they be held up. */
  readonly sharedChunkTokens: number
}

/** Steps of up to so many tokens are short: a proposal and what it follows. */
const shortTokens = 24

export class BatchPlanner<Step extends Waiting> {
  readonly #limits: BatchLimits
  readonly #waiting: Step[] = []
  /** When each line had its last turn, counted in turns. */
  readonly #lastTurn = new Map<string, number>()
  #turn = 0
  /** Turns since a short step ran: decoding sequences are between two steps, not gone. */
  #sinceShort = Infinity

  constructor(limits: BatchLimits) {
    this.#limits = limits
  }

  get waiting(): number {
    return this.#waiting.length
  }

  add(step: Step): void {
    this.#waiting.push(step)
  }

  remove(step: Step): void {
    const at = this.#waiting.indexOf(step)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  /**
   * The next run, its steps taken out of their line; empty when none is waiting that `admit` lets run. It is asked about
   * steps in their order, with the tokens they would compute, and says how many of them there are to compute: 0 for a
   * step that cannot run now.
   */
  next(admit: (step: Step, count: number) => number): Planned<Step>[] {
    for (const line of this.#linesByTurn()) {
      const taken = this.#fill(line, admit)
      if (taken.length === 0) continue
      this.#lastTurn.set(line, ++this.#turn)
      this.#sinceShort = line.endsWith('short') ? 0 : this.#sinceShort + 1
      for (const { step } of taken) this.remove(step)
      return taken
    }
    return []
  }

  /** Lines with someone waiting, the longest without a turn first; of new ones, whose first has waited longest. */
  #linesByTurn(): string[] {
    const lines = [...new Set(this.#waiting.map(lineOf))]
    return lines.sort((a, b) => (this.#lastTurn.get(a) ?? 0) - (this.#lastTurn.get(b) ?? 0))
  }

  #fill(line: string, admit: (step: Step, count: number) => number): Planned<Step>[] {
    const steps = this.#waiting.filter((step) => lineOf(step) === line)
    const limit = this.#chunkTokens(steps)
    const taken: Planned<Step>[] = []
    let tokens = 0
    let longest = 0
    for (const step of steps) {
      const most = Math.min(step.remaining, limit)
      const fits = tokens + most <= limit && isDense(taken.length + 1, Math.max(longest, most), tokens + most)
      const count = taken.length === 0 || fits ? admit(step, most) : 0
      if (count === 0) continue
      taken.push({ step, count })
      tokens += count
      longest = Math.max(longest, count)
    }
    return taken
  }

  #chunkTokens(steps: readonly Step[]): number {
    const { chunkTokens, sharedChunkTokens } = this.#limits
    if (isShort(steps[0]!)) return chunkTokens
    const shared = this.#sinceShort < 2 || this.#waiting.some(isShort)
    return shared ? Math.min(chunkTokens, sharedChunkTokens) : chunkTokens
  }
}

function isShort({ remaining }: Waiting): boolean {
  return remaining <= shortTokens
}

function lineOf(step: Waiting): string {
  return `${step.lengthClass} ${isShort(step) ? 'short' : 'long'}`
}

/** Attention computes on as many positions for every sequence as the longest step has: no more than twice what is asked. */
function isDense(sequences: number, longest: number, tokens: number): boolean {
  return sequences * longest - tokens <= Math.max(32, tokens)
}
