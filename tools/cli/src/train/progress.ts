/** A stage's lines: how far it is, how fast, and how long it still takes. */
export interface Progress {
  say(line: string): void
  /** `total` undefined: not known. `note`: a figure worth seeing on the way. */
  at(stage: string, done: number, total: number | undefined, note?: string): void
}

const EVERY_MS = 5000
/** Speed is that of the last so many reports: machines are shared. */
const RECENT = 6

/** Says a line at most every five seconds; a stage's last one always. */
export function lineProgress(say: (line: string) => void, now: () => number): Progress {
  let stage = ''
  let recent: { atMs: number; done: number }[] = []
  let saidMs = 0
  let isOver = false
  return {
    say,
    at(name, done, total, note) {
      const isLast = total !== undefined && done >= total
      if (isLast && isOver && name === stage) return
      if (name !== stage || isOver) {
        stage = name
        recent = [{ atMs: now(), done }]
        saidMs = 0
      }
      isOver = isLast
      if (!isLast && now() - saidMs < EVERY_MS) return
      saidMs = now()
      recent = [...recent.slice(-RECENT), { atMs: saidMs, done }]
      say(line(name, done, total, rateOf(recent), note))
    },
  }
}

function rateOf(recent: readonly { readonly atMs: number; readonly done: number }[]): number {
  const [first, last] = [recent[0]!, recent.at(-1)!]
  return last.atMs > first.atMs ? (1000 * (last.done - first.done)) / (last.atMs - first.atMs) : 0
}

function line(stage: string, done: number, total: number | undefined, perSecond: number, note?: string): string {
  const share = total === undefined ? '' : ` of ${total}`
  const rate = perSecond > 0 ? `, ${perSecond.toFixed(0)}/s` : ''
  const left =
    total !== undefined && perSecond > 0 && done < total ? `, ${duration((total - done) / perSecond)} left` : ''
  return `${stage}: ${done}${share} positions${rate}${left}${note === undefined ? '' : `, ${note}`}`
}

function duration(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`
}
