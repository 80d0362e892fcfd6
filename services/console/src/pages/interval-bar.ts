import { html, type Html } from './html.js'
import { signed } from '../model/explain.js'

export interface Interval {
  readonly difference: number
  /** Undefined where only the difference is known. */
  readonly low?: number
  readonly high?: number
  /** How much worse it may be; 0 = none is set. */
  readonly margin: number
}

/**
 * A difference and its interval beside zero and the margin (dashed): all to the right of the margin is not worse, all to its left is worse.
 * The picture reaches at least `atLeast` to both sides.
 */
export function intervalBar(interval: Interval, atLeast = 0.01): Html {
  const { difference, margin } = interval
  const [low, high] = [interval.low ?? difference, interval.high ?? difference]
  if (![difference, low, high, margin].every(Number.isFinite)) return html`<span class="quiet">no interval</span>`
  const reach = 1.15 * Math.max(Math.abs(low), Math.abs(high), Math.abs(difference), 1.6 * margin, atLeast)
  const x = (value: number): string => `${(50 + (50 * value) / reach).toFixed(2)}%`
  const width = `${((50 * (high - low)) / reach).toFixed(2)}%`
  const verdict = verdictOf(low, high, margin)
  return html`<svg
    class="interval ${verdict.look}"
    role="img"
    aria-label="${label(interval, low, high)}: ${verdict.words}"
  >
    <rect class="track" x="0" y="13" width="100%" height="2" />
    <line class="zero" x1="50%" x2="50%" y1="2" y2="26" />
    ${margin > 0 && html`<line class="margin" x1="${x(-margin)}" x2="${x(-margin)}" y1="2" y2="26" />`}
    <rect class="bar" x="${x(low)}" y="9" width="${width}" height="10" rx="2" />
    <circle class="point" cx="${x(difference)}" cy="14" r="5" />
  </svg>`
}

export function verdictOf(
  low: number,
  high: number,
  margin: number,
): { readonly look: string; readonly words: string } {
  if (high < -margin) return { look: 'worse', words: 'worse' }
  if (low > 0) return { look: 'better', words: 'better' }
  if (low >= -margin) return { look: 'even', words: 'not worse' }
  return { look: 'open', words: 'undecided' }
}

function label({ difference, margin }: Interval, low: number, high: number): string {
  const interval = low === high ? '' : `, interval ${signed(low)} to ${signed(high)}`
  return `difference ${signed(difference)}${interval}${margin > 0 ? `, margin ${signed(-margin)}` : ''}`
}
