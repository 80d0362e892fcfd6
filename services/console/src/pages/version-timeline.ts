import type { RolloutOrder } from '@plateau/contracts'
import { gatherServers, type SaidTogether } from '../model/gather.js'
import { orderName } from '../model/phases.js'
import type { VersionState } from '../model/state.js'
import { count, duration, timeAgo } from './format.js'
import { html, type Html, type Part } from './html.js'
import { eventBadge } from './parts.js'

interface Entry {
  readonly atMs: number
  readonly badge: Html
  readonly who: string
  readonly why: string
  readonly more: Part
}

/** Publication, events of every server and orders, in the order of their times. */
export function timeline(version: VersionState, nowMs: number): Html {
  const entries = [
    ...published(version),
    ...gatherServers(version.events).map(eventEntry),
    ...version.orders.map(orderEntry),
  ].toSorted((a, b) => a.atMs - b.atMs)
  if (entries.length === 0)
    return html`<p class="quiet">The log says nothing about it any more: events are kept for 30 days.</p>`
  return html`<ol class="timeline">
    ${entries.map(
      ({ atMs, badge, who, why, more }, at) =>
        html`<li>
          <div class="line">
            ${badge} <span class="when">${timeAgo(atMs, nowMs)}</span>
            ${at > 0 && html`<span class="quiet">+${duration(atMs - entries[at - 1]!.atMs)}</span>`}
          </div>
          ${why !== '' && html`<p class="reason">${why}</p>`}
          <p class="quiet small">${who}${more}</p>
        </li>`,
    )}
  </ol>`
}

function published({ announced }: VersionState): Entry[] {
  if (announced === undefined) return []
  const badge = html`<span class="badge">published</span>`
  return [{ atMs: announced.publishedAtMs, badge, who: 'trainer', why: '', more: undefined }]
}

function eventEntry({ event, servers }: SaidTogether): Entry {
  const { atMs, reason, orderedBy, swapMs } = event
  const ordered = orderedBy !== '' && html`, ordered by <strong>${orderedBy}</strong>`
  const swap = swapMs > 0 && `; first request ${count(swapMs)} ms after the announcement came`
  return { atMs, badge: eventBadge(event), who: servers.join(', '), why: reason, more: [ordered, swap] }
}

function orderEntry({ atMs, kind, orderedBy, reason }: RolloutOrder): Entry {
  const badge = html`<span class="badge order">order: ${orderName(kind)}</span>`
  return { atMs, badge, who: orderedBy, why: reason, more: undefined }
}
