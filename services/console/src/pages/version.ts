import { versionPath } from '@plateau/checkpoints'
import { explain } from '../model/explain.js'
import { isRetired, phaseOf, pinnedVersion, type Phase } from '../model/phases.js'
import type { ConsoleState, LineageState, VersionState } from '../model/state.js'
import { parentOf, type VersionFacts, type VersionStory } from '../version-facts.js'
import { acceptanceCharts, ranges, type Range } from './acceptance-charts.js'
import { count, fixed, percent, timeAgo, versionLink } from './format.js'
import { html, type Html, type Part } from './html.js'
import { measures } from '../model/counts.js'
import { policySummary } from './overview.js'
import { phaseBadge, tile, trafficTable } from './parts.js'
import { chartTable, legend, timeChart } from './time-chart.js'
import { evaluations } from './version-evidence.js'
import { timeline } from './version-timeline.js'

export interface VersionPageOptions {
  readonly state: ConsoleState
  readonly lineage: LineageState
  readonly story: VersionStory
  readonly nowMs: number
}

/** Explains one version, from where it comes to how it does. */
export function versionPage(options: VersionPageOptions): Html {
  const { lineage, story, nowMs } = options
  const { version } = story
  const phase = phaseOf(lineage, version)
  const pinned = pinnedVersion(lineage) === version.version
  return html`<p class="crumbs">
      <a href="/versions?lineage=${encodeURIComponent(lineage.name)}">${lineage.name}</a> /
    </p>
    <h1>
      Version ${version.version} ${phaseBadge(phase)}
      ${pinned && html`<span class="badge pinned"><span aria-hidden="true">■</span> pinned</span>`}
    </h1>
    <p class="lead">${explain(lineage, version)}</p>
    <div class="columns">
      <div>
        <section class="panel">
          <h2>What it was compared on</h2>
          ${evaluations(story)}
        </section>
        ${acceptanceSince(options)}
      </div>
      <div>
        <section class="panel">
          <h2>What happened</h2>
          ${timeline(version, nowMs)}
        </section>
        <section class="panel">
          <h2>Where it comes from</h2>
          ${origin(lineage, story, nowMs)}
        </section>
        <section class="panel">
          <h2>Its files</h2>
          ${files(lineage, story)}
        </section>
        <section class="panel">
          <h2>To change this</h2>
          ${commands(lineage, version, phase, pinned)}
        </section>
      </div>
    </div>`
}

function acceptanceSince({ state, lineage, story, nowMs }: VersionPageOptions): Html {
  const { version, acceptance } = story.version
  const { total, fromMs, toMs } = acceptance
  if (total.finished + total.draftTokens + total.emittedTokens === 0) {
    return html`<section class="panel">
      <h2>Acceptance</h2>
      <p class="quiet">It has answered no request that the log still knows of.</p>
    </section>`
  }
  const range = rangeSince(fromMs, nowMs)
  const charts = acceptanceCharts({ state, lineage, range, nowMs, version })
  const by = (names: ReadonlyMap<string, (typeof acceptance)['total']>) =>
    [...names].toSorted((a, b) => b[1].emittedTokens - a[1].emittedTokens)
  return html`<section class="panel">
    <h2>Acceptance since ${timeAgo(fromMs, nowMs)}</h2>
    <div class="tiles">
      ${tile('acceptance rate', percent(measures.rate(total)), `${count(total.draftTokens)} proposed tokens`)}
      ${tile('acceptance length', fixed(measures.length(total), 2), `${count(total.drafts)} rounds`)}
      ${tile('alpha', fixed(measures.alpha(total)), `${count(total.alphaPositions)} positions`)}
    </div>
    <p class="quiet">
      ${count(total.finished)} requests finished, ${count(total.failed)} failed; last counted ${timeAgo(toMs, nowMs)}.
      The last ${ranges[range].label}:
    </p>
    ${legend(charts[0]!.lines)}
    <div class="charts">${charts.map(timeChart)}</div>
    ${chartTable(charts, nowMs)} ${trafficTable('By tenant', by(acceptance.tenants))}
    ${trafficTable('By domain', by(acceptance.domains))}
  </section>`
}

function rangeSince(fromMs: number, nowMs: number): Range {
  const names = Object.keys(ranges) as Range[]
  return names.find((name) => nowMs - fromMs <= ranges[name].ms) ?? '24h'
}

function origin(lineage: LineageState, story: VersionStory, nowMs: number): Html {
  const { version, files: found, parents } = story
  const { announced } = version
  const manifest = found.kind === 'found' ? found.manifest : undefined
  const trained = announced?.trainedPositions ?? manifest?.trainedPositions
  const before = parents[0] === undefined ? undefined : trainedOf(parents[0])
  const kind = announced?.kind ?? manifest?.kind
  const published = announced?.publishedAtMs ?? (manifest === undefined ? 0 : Date.parse(manifest.createdAt))
  return html`<dl>
      <dt>Published</dt>
      <dd>${timeAgo(published, nowMs)}${kind !== undefined && html`, a ${kind}`}</dd>
      <dt>Trained on</dt>
      <dd>
        ${trained === undefined ? 'not known' : `${count(trained)} positions`}${
          trained !== undefined &&
          before !== undefined &&
          `, ${count(Math.max(0, trained - before))} more than its parent`
        }
      </dd>
      <dt>Data up to</dt>
      <dd>${dataWindow(story)}</dd>
      <dt>Whose data</dt>
      <dd>${whoseData(story)}</dd>
      <dt>Selected by</dt>
      <dd>
        ${manifest === undefined ? html`<span class="quiet">said in its manifest, which is not at hand</span>` : manifest.policy}
      </dd>
    </dl>
    <h3>Parents</h3>
    ${chain(lineage, story)}
    <details data-keep="policy">
      <summary>Policy in force now</summary>
      ${policySummary(lineage.policy, nowMs)}
    </details>`
}

function trainedOf({ version, files: found }: VersionFacts): number | undefined {
  return version.announced?.trainedPositions ?? (found.kind === 'found' ? found.manifest.trainedPositions : undefined)
}

function dataWindow({ files: found, parents }: VersionStory): Part {
  if (found.kind !== 'found') return html`<span class="quiet">said in its manifest, which is not at hand</span>`
  if (found.manifest.trainedThrough.length === 0) return html`<span class="quiet">no record of a topic</span>`
  const parent = parents[0]?.files
  const before = new Map(
    parent?.kind === 'found'
      ? parent.manifest.trainedThrough.map(({ topic, partition, nextOffset }) => [`${topic}/${partition}`, nextOffset])
      : [],
  )
  return html`<ul class="plain">
    ${found.manifest.trainedThrough.map(({ topic, partition, nextOffset }) => {
      const from = before.get(`${topic}/${partition}`)
      const since = from === undefined ? '' : ` (${count(Math.max(0, nextOffset - from))} records since its parent)`
      return html`<li>
        <code class="breakable">${topic}</code> partition ${partition}: before offset ${count(nextOffset)}${since}
      </li>`
    })}
  </ul>`
}

function whoseData({ files: found }: VersionStory): Part {
  if (found.kind !== 'found') return html`<span class="quiet">said in its manifest, which is not at hand</span>`
  const { gradientTenants, sumTenants } = found.manifest
  if (gradientTenants === undefined && sumTenants === undefined) return 'not noted in its manifest'
  const say = (tenants: readonly string[] | undefined): string =>
    tenants === undefined ? 'not noted' : tenants.includes('*') ? 'anybody' : `${tenants.length} tenants`
  return `gradients: ${say(gradientTenants)}; closed form: ${say(sumTenants)}`
}

function chain(lineage: LineageState, story: VersionStory): Html {
  if (story.parents.length === 0) {
    const parent = parentOf(story)
    return parent === 0
      ? html`<p class="quiet">None: it is the first, or nobody knows.</p>`
      : html`<p>${versionLink(lineage.name, parent)}, of which neither the log nor the store knows more.</p>`
  }
  return html`<ol class="chain">
    ${story.parents.map(
      ({ version }) =>
        html`<li>${versionLink(lineage.name, version.version)} ${phaseBadge(phaseOf(lineage, version))}</li>`,
    )}
    ${parentOf(story.parents.at(-1)!) > 0 && html`<li class="quiet">and older ones</li>`}
  </ol>`
}

function files(lineage: LineageState, { version, files: found }: VersionStory): Html {
  const announced = version.announced
  const path =
    announced?.manifestPath ??
    (found.kind === 'no store' ? `${versionPath(lineage.name, version.version)}/` : found.path)
  const digest = announced?.manifestSha256 ?? (found.kind === 'found' ? found.sha256 : undefined)
  return html`<dl>
    <dt>Manifest</dt>
    <dd><code class="breakable">${path}</code></dd>
    <dt>SHA-256</dt>
    <dd><code class="breakable">${digest ?? 'not known'}</code></dd>
    <dt>In the store</dt>
    <dd>${storeState(found)}</dd>
    ${
      found.kind === 'found' &&
      html`<dt>Digest</dt>
        <dd>
          ${announced === undefined ? 'nothing announced to compare with' : announced.manifestSha256 === found.sha256 ? '✔ as announced' : '✕ not the announced one'}
        </dd>
        <dt>Signature</dt>
        <dd>${signatures[found.signature]}</dd>
        <dt>Size</dt>
        <dd>
          ${found.manifest.files.length} files,
          ${(found.manifest.files.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20).toFixed(1)} MiB; written by
          ${found.manifest.codeVersion}
        </dd>`
    }
    ${
      announced !== undefined &&
      html`<dt>Target</dt>
        <dd><code class="breakable">${announced.targetFingerprint}</code></dd>`
    }
  </dl>`
}

const signatures = {
  valid: '✔ good',
  'not checked': 'not checked: PLATEAU_VERIFY_KEY_FILE is not set',
  missing: '✕ there is none',
  wrong: '✕ does not fit, or its key is another one',
} as const

function storeState(found: VersionStory['files']): string {
  switch (found.kind) {
    case 'no store':
      return 'not looked at: PLATEAU_CHECKPOINTS is not set'
    case 'missing':
      return 'no longer there'
    case 'unusable':
      return `cannot be used: ${found.why}`
    case 'found':
      return 'there'
  }
}

/** What would change it; this page does not. */
function commands(lineage: LineageState, version: VersionState, phase: Phase, isPinned: boolean): Html {
  const name = shellWord(lineage.name)
  const about = `--lineage ${name} --version ${version.version} --reason "..."`
  const isLive = phase === 'live' || phase === 'confirmed'
  const isOut = isRetired(version) || phase === 'rolled back'
  const offered: (readonly [what: string, command: string])[] = []
  if (!isLive && !isOut) offered.push(['makes it live at once', `plateau promote ${about}`])
  if (isLive || phase === 'canary' || phase === 'shadow') {
    offered.push(['takes it off traffic for good', `plateau rollback ${about}`])
  }
  if (isPinned) offered.push(['lets newer versions come again', `plateau unpin --lineage ${name} --reason "..."`])
  else if (!isOut) offered.push(['makes it live and keeps it', `plateau pin ${about}`])
  offered.push(['says all of this in a terminal', `plateau rollouts --lineage ${name} --version ${version.version}`])
  return html`${isOut && html`<p class="quiet">It was taken off traffic for good: serving takes no order to serve it again.</p>`}
    <dl class="commands">
      ${offered.map(
        ([what, command]) =>
          html`<dt>${what}</dt>
            <dd><code>${command}</code></dd>`,
      )}
    </dl>`
}

/** As a shell takes it whole. */
function shellWord(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
