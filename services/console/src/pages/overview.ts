import type { DraftCheckpoint, SelectionPolicy } from '@plateau/contracts'
import { explain } from '../model/explain.js'
import { gatherServers } from '../model/gather.js'
import { candidates, liveVersion, newestFirst, phaseOf, pinnedVersion, presentServers } from '../model/phases.js'
import type { ConsoleState, LineageState, ServerState } from '../model/state.js'
import { acceptanceCharts, changeOf, rangeOf, ranges, type Range } from './acceptance-charts.js'
import { clockTime, duration, fixed, percent, timeAgo, versionHref, versionLink } from './format.js'
import { html, type Html, type Part } from './html.js'
import { changeNote, driftList, eventBadge, eventList, phaseBadge, tile, trafficTable } from './parts.js'
import { chartTable, legend, timeChart } from './time-chart.js'

const SHOWN_EVENTS = 12
const SHOWN_DRIFTS = 8
const SHOWN_NAMES = 12
const SHOWN_CANDIDATES = 6
/** Servers that were silent for so long may be idle, or gone. */
const STALE_MS = 120_000

/** What is live in every lineage, whether it is getting better, and what happened last. */
export function overviewPage(state: ConsoleState, asked: string | null, nowMs: number): Html {
  const lineages = [...state.lineages.values()].toSorted((a, b) => b.versions.size - a.versions.size)
  if (lineages.length === 0) return nothingYet()
  return html`<h1 class="hidden">Overview</h1>
    ${lineages.map((lineage) => lineageSection(state, lineage, rangeOf(asked, lineage, nowMs), nowMs))}`
}

function nothingYet(): Html {
  return html`<h1>Nothing yet</h1>
    <p>The log holds no record about a draft: no version was announced, and no server has reported.</p>
    <p class="quiet">
      The trainer announces its first version after some hundred captured positions; serving reports while it has
      requests.
    </p>`
}

function lineageSection(state: ConsoleState, lineage: LineageState, range: Range, nowMs: number): Html {
  const charts = acceptanceCharts({ state, lineage, range, nowMs })
  const { ms } = ranges[range]
  return html`<section class="lineage" aria-label="lineage ${lineage.name}">
    <h2>${lineage.name} <span class="quiet">lineage</span></h2>
    ${staleNote(lineage, nowMs)} ${standing(lineage, nowMs)} ${tiles(lineage, range, nowMs)}
    <div class="panel">
      <div class="panel-head">
        <h3>Acceptance</h3>
        ${rangeLinks(range)}
      </div>
      ${legend(
        charts[0]!.lines,
        html`<li>
            <svg width="12" height="12" aria-hidden="true"><path class="marker live" d="M6 0V12" /></svg> version went
            live
          </li>
          <li>
            <svg width="12" height="12" aria-hidden="true"><path class="marker back" d="M6 0V12" /></svg> rolled back
          </li>`,
      )}
      <div class="charts">${charts.map(timeChart)}</div>
      ${chartTable(charts, nowMs)}
    </div>
    <div class="columns">
      <section class="panel">
        <h3>What happened last</h3>
        ${eventList(lineage.name, gatherServers(lineage.recentEvents).slice(-SHOWN_EVENTS).toReversed(), nowMs)}
      </section>
      <div>
        <section class="panel">
          <h3>Drift and unusual responses</h3>
          ${driftList(lineage.drifts.slice(-SHOWN_DRIFTS).toReversed(), nowMs)}
        </section>
        <section class="panel">
          <h3>What each server says</h3>
          ${serverTable(lineage, nowMs)}
        </section>
        <section class="panel">
          <h3>Traffic of drafts, ${ranges[range].label}</h3>
          ${trafficTable('By tenant', lineage.acceptance.totals('tenant', nowMs - ms, nowMs).slice(0, SHOWN_NAMES))}
          ${trafficTable('By domain', lineage.acceptance.totals('domain', nowMs - ms, nowMs).slice(0, SHOWN_NAMES))}
        </section>
        <section class="panel">
          <h3>What is trained on</h3>
          ${policySummary(lineage.policy, nowMs)}
        </section>
      </div>
    </div>
  </section>`
}

function staleNote({ servers }: LineageState, nowMs: number): Part {
  const newestMs = Math.max(...[...servers.values()].map(({ heardMs }) => heardMs))
  if (servers.size === 0 || nowMs - newestMs < STALE_MS) return undefined
  return html`<p class="banner">
    <strong>Silent.</strong> No server of this lineage has reported for ${duration(nowMs - newestMs)}: there is no
    traffic, or serving is down.
  </p>`
}

function standing(lineage: LineageState, nowMs: number): Html {
  const live = liveVersion(lineage)
  const pinned = pinnedVersion(lineage)
  const waiting = candidates(lineage)
  return html`<div class="standing">
    <section class="panel now">
      <h3>Live</h3>
      ${
        live === undefined
          ? html`<p class="big">none</p>
              <p class="quiet">No draft has gone live: requests are decoded plainly.</p>`
          : liveNow(lineage, live, nowMs)
      }
      ${
        pinned > 0 &&
        html`<p>
          <span class="badge pinned"
            ><span aria-hidden="true">■</span> pinned to ${versionLink(lineage.name, pinned)}</span
          >
          by ${lineage.pinOrder?.orderedBy}: ${lineage.pinOrder?.reason}
        </p>`
      }
    </section>
    <section class="panel">
      <h3>On their way</h3>
      ${
        waiting.length === 0
          ? html`<p class="quiet">No candidate. ${newestAnnounced(lineage, nowMs)}</p>`
          : html`<ul class="candidates">
              ${waiting
                .slice(0, SHOWN_CANDIDATES)
                .map(
                  ({ version, phase }) =>
                    html`<li>
                      ${versionLink(lineage.name, version.version)} ${phaseBadge(phase)} ${heldOut(version.announced)}
                    </li>`,
                )}
            </ul>`
      }
      ${waiting.length > SHOWN_CANDIDATES && html`<p class="quiet">and ${waiting.length - SHOWN_CANDIDATES} more</p>`}
    </section>
  </div>`
}

function liveNow(lineage: LineageState, live: NonNullable<ReturnType<typeof liveVersion>>, nowMs: number): Html {
  const version = lineage.versions.get(live.version)
  return html`<p class="big">
      <a href="${versionHref(lineage.name, live.version)}">v${live.version}</a>
      ${version !== undefined && phaseBadge(phaseOf(lineage, version))}
    </p>
    <p>
      since ${timeAgo(live.sinceMs, nowMs)}, on
      ${live.servers === live.of ? (live.of === 1 ? 'the one server' : `all ${live.of} servers`) : html`<strong>${live.servers} of ${live.of} servers</strong>`}
    </p>
    ${version !== undefined && html`<p class="reason">${explain(lineage, version)}</p>`}`
}

function heldOut(announced: DraftCheckpoint | undefined): Part {
  const evaluation = announced?.evaluation
  if (evaluation === undefined) return undefined
  return html`<span class="quiet"
    >held-out alpha ${fixed(evaluation.alpha)}, before ${fixed(evaluation.parentAlpha)}</span
  >`
}

function newestAnnounced(lineage: LineageState, nowMs: number): Part {
  const newest = newestFirst(lineage).find(({ announced }) => announced !== undefined)
  if (newest?.announced === undefined) return 'Nothing was announced yet.'
  return html`The newest announced version is ${versionLink(lineage.name, newest.version)},
  ${timeAgo(newest.announced.publishedAtMs, nowMs)}.`
}

function tiles(lineage: LineageState, range: Range, nowMs: number): Html {
  const [rate, length, alpha] = (['rate', 'length', 'alpha'] as const).map((measure) =>
    changeOf(lineage, measure, range, nowMs),
  )
  const note = (change: typeof rate): Part =>
    changeNote(change!.now, change!.before, clockTime(change!.beforeMs, nowMs))
  return html`<div class="tiles">
    ${tile('acceptance rate', percent(rate!.now), note(rate))}
    ${tile('acceptance length', fixed(length!.now, 2), note(length))} ${tile('alpha', fixed(alpha!.now), note(alpha))}
  </div>`
}

function rangeLinks(range: Range): Html {
  return html`<nav class="ranges" aria-label="Time shown">
    ${(Object.keys(ranges) as Range[]).map(
      (name) => html`<a href="?range=${name}" ${name === range && html`aria-current="true"`}>${ranges[name].label}</a>`,
    )}
  </nav>`
}

function serverTable(lineage: LineageState, nowMs: number): Html {
  const servers = [...lineage.servers.values()].toSorted((a, b) => b.heardMs - a.heardMs)
  if (servers.length === 0) return html`<p class="quiet">No server has reported.</p>`
  const present = new Set(presentServers(lineage))
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th scope="col">server</th>
          <th scope="col">live</th>
          <th scope="col">said last</th>
          <th scope="col">heard</th>
        </tr>
      </thead>
      <tbody>
        ${servers.map((server) => serverRow(lineage, server, present.has(server), nowMs))}
      </tbody>
    </table>
  </div>`
}

function serverRow(lineage: LineageState, server: ServerState, isPresent: boolean, nowMs: number): Html {
  const { lastEvent } = server
  return html`<tr class="${!isPresent && 'gone'}">
    <th scope="row" class="breakable">${server.name}</th>
    <td>${versionLink(lineage.name, server.liveVersion)}</td>
    <td>
      ${lastEvent !== undefined && html`${eventBadge(lastEvent)} ${versionLink(lineage.name, lastEvent.version)}`}
    </td>
    <td>${timeAgo(server.heardMs, nowMs)}${!isPresent && html` <span class="badge">gone</span>`}</td>
  </tr>`
}

export function policySummary(policy: SelectionPolicy | undefined, nowMs: number): Html {
  if (policy === undefined) return html`<p class="quiet">No policy was published: the scorer's own settings decide.</p>`
  const unit = policy.unit === '' ? 'windows' : `${policy.unit}s`
  const rule =
    policy.strategy === 'none' || policy.strategy === ''
      ? 'everything is kept'
      : `${percent(policy.keep)} of ${unit} by ${policy.strategy}`
  return html`<p>
      <strong>${rule}</strong>; closed form weighs
      ${policy.closedFormWeight}${policy.stratified && ', within every domain'}; since ${timeAgo(policy.atMs, nowMs)}
    </p>
    ${policy.evidence !== '' && html`<p class="reason">${policy.evidence}</p>`}
    ${
      policy.gains.length > 0 &&
      html`<ul class="plain">
        ${policy.gains.map(
          ({ stage, gain, standardError, count: over }) =>
            html`<li>${stage}: ${gain.toFixed(4)} ± ${standardError.toFixed(4)} alpha over chance, from ${over}</li>`,
        )}
      </ul>`
    }`
}
