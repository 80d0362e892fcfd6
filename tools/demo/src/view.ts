import { num, percent } from './report.js'

/** One moment of the demo, as shown. */
export interface Moment {
  readonly seconds: number
  readonly phase: string
  readonly phaseSeconds: number
  readonly phaseLengthSeconds: number
  readonly tokensPerSecond: number
  readonly acceptanceLength: number
  readonly alpha: number
  /** Alpha by draft version over the last seconds, newest last. */
  readonly byVersion: readonly { readonly version: string; readonly alpha: number; readonly acceptanceLength: number }[]
  readonly keptShare: number
  /** In force for gradients. */
  readonly rule: string
  readonly captured: number
  readonly scorerLag: number
  readonly trainerLag: number
  readonly liveVersion: string
  readonly swaps: number
  readonly completed: number
  readonly failed: number
}

export interface View {
  show(moment: Moment): void
  /** A line that stays. */
  say(line: string): void
  end(): void
}

export function createView(stream: NodeJS.WriteStream, plain: boolean): View {
  return stream.isTTY && !plain ? new LiveView(stream) : new PlainView(stream)
}

/** A block of lines that is drawn over itself. */
class LiveView implements View {
  #drawn = 0
  readonly #history: number[] = []

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(moment: Moment): void {
    this.#history.push(moment.alpha)
    const lines = this.#lines(moment).map((line) => line.slice(0, Math.max(20, this.stream.columns - 1)))
    this.#erase()
    this.stream.write(`${lines.join('\n')}\n`)
    this.#drawn = lines.length
  }

  say(line: string): void {
    this.#erase()
    this.stream.write(`${line}\n`)
  }

  end(): void {
    this.#drawn = 0
  }

  #lines(m: Moment): string[] {
    const done = Math.min(1, m.phaseSeconds / m.phaseLengthSeconds)
    const bar = '█'.repeat(Math.round(done * 30)).padEnd(30, '░')
    return [
      '',
      `  phase      ${m.phase.padEnd(12)} ${bar} ${num(m.phaseSeconds, 0)}/${num(m.phaseLengthSeconds, 0)} s`,
      `  serving    ${num(m.tokensPerSecond, 0)} tokens/s   ${m.completed} answered   ${m.failed} failed`,
      `  draft      version ${m.liveVersion}   ${m.swaps} swaps`,
      `  acceptance alpha ${num(m.alpha)}   mean length ${num(m.acceptanceLength, 2)}   ${sparkline(this.#history)}`,
      ...m.byVersion.map(
        (v) =>
          `             version ${v.version.padStart(4)}: alpha ${num(v.alpha)}, length ${num(v.acceptanceLength, 2)}`,
      ),
      `  stream     ${m.captured} windows   ${percent(m.keptShare)} kept by ${m.rule}   lag: scorer ${m.scorerLag}, trainer ${m.trainerLag}`,
      '',
    ]
  }

  #erase(): void {
    if (this.#drawn > 0) this.stream.write(`\x1b[${this.#drawn}A\x1b[0J`)
    this.#drawn = 0
  }
}

/** One line every few seconds: for logs, pipes and CI. */
class PlainView implements View {
  #nextSeconds = 0

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(m: Moment): void {
    if (m.seconds < this.#nextSeconds) return
    this.#nextSeconds = m.seconds + 5
    this.say(
      `${num(m.seconds, 0).padStart(4)} s  ${m.phase.padEnd(10)} ${num(m.tokensPerSecond, 0).padStart(4)} tokens/s  ` +
        `alpha ${num(m.alpha)}  length ${num(m.acceptanceLength, 2)}  draft ${m.liveVersion.padStart(3)}  ` +
        `kept ${percent(m.keptShare)}  windows ${m.captured}  lag ${m.scorerLag}+${m.trainerLag}  ` +
        `swaps ${m.swaps}  answered ${m.completed}  failed ${m.failed}`,
    )
  }

  say(line: string): void {
    this.stream.write(`${line}\n`)
  }

  end(): void {}
}

const blocks = '▁▂▃▄▅▆▇█'

/** The last 60 values, scaled to their own maximum. */
function sparkline(values: readonly number[]): string {
  const recent = values.slice(-60)
  const top = Math.max(0.01, ...recent.filter(Number.isFinite))
  return recent.map((v) => (Number.isFinite(v) ? blocks[Math.min(7, Math.floor((v / top) * 7.99))]! : ' ')).join('')
}
