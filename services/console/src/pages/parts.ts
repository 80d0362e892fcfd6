import { DriftKind, type Drift, type Rollout } from '@plateau/contracts'
import { measures, type Counts } from '../model/counts.js'
import { evidenceInWords, signed } from '../model/explain.js'
import type { SaidTogether } from '../model/gather.js'
import { stateName, type Phase } from '../model/phases.js'
import { count, fixed, nameOf, percent, timeAgo, versionLink } from './format.js'
import { html, type Html, type Part } from './html.js'

/** Shapes besides colours: a phase is known without seeing its colour. */
const signs: Readonly<Record<Phase, string>> = {
  unknown: '?',
  announced: '○',
  verified: '◔',
  shadow: '◑',
  canary: '◕',
  live: '●',
  confirmed: '✔',
  replaced: '→',
  rejected: '✕',
  'rolled back': '↩',
  retired: '⊘',
}

export function phaseBadge(phase: Phase): Html {
  return html`<span class="badge ${phase.replaceAll(' ', '-')}"
    ><span aria-hidden="true">${signs[phase]}</span> ${phase}</span
  >`
}

export function eventBadge({ state }: Rollout): Html {
  const name = stateName(state)
  if (Object.hasOwn(signs, name)) return phaseBadge(name as Phase)
  return html`<span class="badge">${name}</span>`
}

/** Events of one lineage, as a list with reasons. */
export function eventList(lineage: string, events: readonly SaidTogether[], nowMs: number): Html {
  if (events.length === 0) return html`<p class="quiet">No server has said anything yet.</p>`
  return html`<ol class="events">
    ${events.map(
      ({ event, servers }) =>
        html`<li>
          <div class="line">
            ${eventBadge(event)} ${versionLink(lineage, event.version)}
            ${event.otherVersion > 0 && html`<span class="quiet">beside ${versionLink(lineage, event.otherVersion)}</span>`}
            <span class="when">${timeAgo(event.atMs, nowMs)}</span>
          </div>
          ${event.reason !== '' && html`<p class="reason">${event.reason}</p>`}
          <p class="quiet small">
            ${servers.join(', ')}${event.orderedBy !== '' && html`, ordered by <strong>${event.orderedBy}</strong>`}${
              event.swapMs > 0 && `, ${count(event.swapMs)} ms after it was announced`
            }${event.evidence !== undefined && `; ${event.evidence.comparison}: ${evidenceInWords(event.evidence)}`}
          </p>
        </li>`,
    )}
  </ol>`
}

const driftNames: Readonly<Record<string, string>> = {
  FLATNESS_SHIFTED: 'flatness shifted',
  FLATNESS_SETTLED: 'flatness settled',
  ACCEPTANCE_FELL: 'acceptance fell',
  ACCEPTANCE_RECOVERED: 'acceptance recovered',
  ACCEPTANCE_VERY_LOW: 'very low response',
  ACCEPTANCE_VERY_HIGH: 'very high response',
}

export function driftName(kind: DriftKind): string {
  const name = (DriftKind[kind] ?? '').replace('DRIFT_KIND_', '')
  return driftNames[name] ?? 'unknown drift'
}

export function driftList(drifts: readonly Drift[], nowMs: number): Html {
  if (drifts.length === 0) return html`<p class="quiet">None.</p>`
  return html`<ol class="events">
    ${drifts.map(
      (drift) =>
        html`<li>
          <div class="line">
            <span class="badge ${/SHIFTED|FELL|VERY/.test(DriftKind[drift.kind] ?? '') ? 'notice' : 'settled'}"
              >${driftName(drift.kind)}</span
            >
            ${whose(drift)} <span class="when">${timeAgo(drift.atMs, nowMs)}</span>
          </div>
          ${drift.reason !== '' && html`<p class="reason">${drift.reason}</p>`}
          <p class="quiet small">
            ${fixed(drift.value)} against ${fixed(drift.reference)}, counts from ${fixed(drift.threshold)}; over
            ${count(drift.count)}; ${drift.server}${drift.sampleId !== '' && `; response ${drift.sampleId}`}
          </p>
        </li>`,
    )}
  </ol>`
}

function whose({ tenant, domain }: Drift): Part {
  if (tenant === '' && domain === '') return 'all traffic'
  return [tenant !== '' && html`tenant ${tenant} `, domain !== '' && html`domain ${domain}`]
}

/** Traffic by name, most first. */
export function trafficTable(caption: string, rows: readonly (readonly [string, Counts])[]): Html {
  const most = Math.max(1, ...rows.map(([, { emittedTokens }]) => emittedTokens))
  return html`<div class="scroll">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          <th scope="col">name</th>
          <th scope="col" class="number">tokens</th>
          <th scope="col" class="number">rate</th>
          <th scope="col" class="number">length</th>
          <th scope="col" class="number">alpha</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([name, counts]) =>
            html`<tr>
              <th scope="row">${nameOf(name)}</th>
              <td class="number">${shareBar(counts.emittedTokens / most)} ${count(counts.emittedTokens)}</td>
              <td class="number">${percent(measures.rate(counts))}</td>
              <td class="number">${fixed(measures.length(counts), 2)}</td>
              <td class="number">${fixed(measures.alpha(counts))}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

function shareBar(share: number): Html {
  return html`<svg class="share" width="40" height="8" aria-hidden="true">
    <rect width="${(40 * share).toFixed(1)}" height="8" rx="1" />
  </svg>`
}

export function tile(name: string, value: string, about: Part): Html {
  return html`<div class="tile">
    <div class="name">${name}</div>
    <div class="value">${value}</div>
    <div class="about">${about}</div>
  </div>`
}

/** "▲ +0.041 since 13:05". */
export function changeNote(now: number | undefined, before: number | undefined, since: string): Part {
  if (now === undefined) return 'nothing counted'
  if (before === undefined) return 'too short a time to compare'
  const change = now - before
  const sign = Math.abs(change) < 0.0005 ? '■' : change > 0 ? '▲' : '▼'
  const look = sign === '▲' ? 'up' : sign === '▼' ? 'down' : 'same'
  return html`<span class="${look}"><span aria-hidden="true">${sign}</span> ${signed(change)}</span> since ${since}`
}
