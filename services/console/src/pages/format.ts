import { html, type Html } from './html.js'

/** "62.1 %", or a dash. */
export function percent(share: number | undefined): string {
  return share === undefined || !Number.isFinite(share) ? '–' : `${(100 * share).toFixed(1)} %`
}

export function fixed(value: number | undefined, digits = 3): string {
  return value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(digits)
}

export function count(value: number): string {
  return value.toLocaleString('en')
}

/** "14:03:10", UTC, with the day where it is another one than now's. */
export function clockTime(atMs: number, nowMs: number): string {
  const [day, time] = new Date(atMs).toISOString().split('T') as [string, string]
  const today = new Date(nowMs).toISOString().startsWith(day)
  return today ? time.slice(0, 8) : `${day} ${time.slice(0, 5)}`
}

/** "3 min", "2 h": how long, roughly. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}

/** A time with its age; the page's script keeps the age up to date. */
export function timeAgo(atMs: number, nowMs: number): Html {
  if (!(atMs > 0)) return html`<span class="quiet">–</span>`
  const iso = new Date(atMs).toISOString()
  const age = html`<span class="age" data-at="${atMs}">${duration(nowMs - atMs)}</span>`
  return html`<time datetime="${iso}" title="${iso}">${clockTime(atMs, nowMs)}</time>
    <span class="quiet">(${age} ago)</span>`
}

/** The default tenant and domain have no name. */
export function nameOf(name: string): Html {
  return name === '' ? html`<span class="quiet">default</span>` : html`${name}`
}

export function versionHref(lineage: string, version: number): string {
  return `/versions/${encodeURIComponent(lineage)}/${version}`
}

export function versionLink(lineage: string, version: number): Html {
  if (version === 0) return html`<span class="quiet">none</span>`
  return html`<a href="${versionHref(lineage, version)}">v${version}</a>`
}
