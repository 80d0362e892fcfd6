import { newestFirst, phaseOf, phases, pinnedVersion, firstHeardMs, type Phase } from '../model/phases.js'
import { measures } from '../model/counts.js'
import { explain, signed } from '../model/explain.js'
import type { ConsoleState, LineageState, VersionState } from '../model/state.js'
import type { Manifests } from '../manifests.js'
import { heldOutOf } from '../version-facts.js'
import { count, fixed, percent, timeAgo, versionHref } from './format.js'
import { html, type Html, type Part } from './html.js'
import { phaseBadge } from './parts.js'

const PAGE_ROWS = 50

export interface VersionsQuery {
  readonly lineage: string | undefined
  readonly phase: Phase | undefined
  /** From 1. */
  readonly page: number
}

/** Unknown values are as good as none: an old link still shows something. */
export function versionsQuery(search: URLSearchParams): VersionsQuery {
  const page = Number(search.get('page') ?? 1)
  return {
    lineage: search.get('lineage') || undefined,
    phase: phases.find((phase) => phase === search.get('state')),
    page: Number.isSafeInteger(page) && page > 0 ? page : 1,
  }
}

interface Row {
  readonly lineage: LineageState
  readonly version: VersionState
  readonly phase: Phase
}

/** Every version that is known, newest first, by state. */
export async function versionsPage(
  state: ConsoleState,
  query: VersionsQuery,
  manifests: Manifests,
  nowMs: number,
): Promise<Html> {
  const wanted = [...state.lineages.values()].filter(({ name }) => name === (query.lineage ?? name))
  const rows = wanted.flatMap((lineage) =>
    newestFirst(lineage).map((version): Row => ({ lineage, version, phase: phaseOf(lineage, version) })),
  )
  const picked = rows.filter(({ phase }) => phase === (query.phase ?? phase))
  const pages = Math.max(1, Math.ceil(picked.length / PAGE_ROWS))
  const page = Math.min(query.page, pages)
  const shown = picked.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS)
  return html`<h1>Versions</h1>
    ${lineageLinks(state, query)} ${phaseLinks(rows, query)}
    ${shown.length === 0 ? html`<p class="quiet">No version is in this state.</p>` : await table(shown, manifests, nowMs)}
    ${
      pages > 1 &&
      html`<nav class="ranges" aria-label="Further versions">
        ${page > 1 && html`<a href="${link({ ...query, page: page - 1 })}">newer</a>`}
        <span class="quiet">page ${page} of ${pages}</span>
        ${page < pages && html`<a href="${link({ ...query, page: page + 1 })}">older</a>`}
      </nav>`
    }`
}

function lineageLinks(state: ConsoleState, query: VersionsQuery): Part {
  if (state.lineages.size < 2) return undefined
  const names = [undefined, ...state.lineages.keys()]
  return html`<nav class="ranges" aria-label="Lineages">
    ${names.map((lineage) => {
      const current = lineage === query.lineage && html`aria-current="true"`
      return html`<a href="${link({ ...query, lineage, page: 1 })}" ${current}>${lineage ?? 'all lineages'}</a>`
    })}
  </nav>`
}

function phaseLinks(rows: readonly Row[], query: VersionsQuery): Html {
  const counted = Map.groupBy(rows, ({ phase }) => phase)
  const found = phases.filter((phase) => counted.has(phase) || phase === query.phase)
  return html`<nav class="ranges" aria-label="States">
    ${[undefined, ...found].map((phase) => {
      const current = phase === query.phase && html`aria-current="true"`
      const number = phase === undefined ? rows.length : (counted.get(phase)?.length ?? 0)
      return html`<a href="${link({ ...query, phase, page: 1 })}" ${current}
        >${phase ?? 'all states'} <span class="quiet">${number}</span></a
      >`
    })}
  </nav>`
}

function link({ lineage, phase, page }: VersionsQuery): string {
  const search = new URLSearchParams()
  if (lineage !== undefined) search.set('lineage', lineage)
  if (phase !== undefined) search.set('state', phase)
  if (page > 1) search.set('page', String(page))
  return `/versions?${search.toString()}`
}

async function table(rows: readonly Row[], manifests: Manifests, nowMs: number): Promise<Html> {
  const cells = await Promise.all(rows.map((row) => tableRow(row, manifests, nowMs)))
  return html`<div class="scroll">
    <table class="versions">
      <thead>
        <tr>
          <th scope="col">version</th>
          <th scope="col">state</th>
          <th scope="col">first heard of</th>
          <th scope="col" class="number">held-out alpha</th>
          <th scope="col" class="number">against parent</th>
          <th scope="col" class="number">acceptance</th>
          <th scope="col" class="number">proposed</th>
          <th scope="col">why</th>
        </tr>
      </thead>
      <tbody>
        ${cells}
      </tbody>
    </table>
  </div>`
}

async function tableRow({ lineage, version, phase }: Row, manifests: Manifests, nowMs: number): Promise<Html> {
  const files =
    version.announced === undefined
      ? await manifests.find(lineage.name, version.version)
      : ({ kind: 'no store' } as const)
  const heldOut = heldOutOf({ version, files })
  const { alpha, parentAlpha } = heldOut ?? {}
  const { total } = version.acceptance
  const pinned = pinnedVersion(lineage) === version.version
  return html`<tr>
    <th scope="row"><a href="${versionHref(lineage.name, version.version)}">${lineage.name} v${version.version}</a></th>
    <td>${phaseBadge(phase)}${pinned && html` <span class="badge pinned">pinned</span>`}</td>
    <td>${timeAgo(firstHeardMs(version), nowMs)}</td>
    <td class="number">${fixed(alpha)}</td>
    <td class="number">${alpha === undefined || parentAlpha === undefined ? '–' : signed(alpha - parentAlpha)}</td>
    <td class="number">${percent(measures.rate(total))}</td>
    <td class="number">${total.draftTokens > 0 ? count(total.draftTokens) : '–'}</td>
    <td class="why">${explain(lineage, version)}</td>
  </tr>`
}
