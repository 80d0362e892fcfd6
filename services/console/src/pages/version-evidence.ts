import type { Rollout, RolloutEvidence } from '@plateau/contracts'
import { evidenceInWords, signed } from '../model/explain.js'
import { stateName } from '../model/phases.js'
import { heldOutOf, type VersionStory } from '../version-facts.js'
import { count, fixed, nameOf } from './format.js'
import { html, type Html, type Part } from './html.js'
import { intervalBar, verdictOf } from './interval-bar.js'

/** What a stage of the roll-out compares, by the state that its event carries. */
const stages: Readonly<Record<string, string>> = {
  shadow: 'in shadow',
  canary: 'on canary traffic',
  rejected: 'when it was rejected',
  live: 'when it went live',
  confirmed: 'when it was confirmed',
  'rolled back': 'when it was rolled back',
}

const comparisons: Readonly<Record<string, string>> = {
  windows: 'Held-out windows',
  'live-pairs': 'Live pairs',
  'live-acceptance': 'Acceptance of requests',
}

/** Every comparison: the trainer's own, then what serving measured, oldest first; of each stage and server the newest. */
export function evaluations(story: VersionStory): Html {
  const measured = newestOfEach(story.version.events)
  const own = heldOut(story)
  if (own === undefined && measured.length === 0)
    return html`<p class="quiet">Nothing was measured, as far as anybody knows.</p>`
  return html`<p class="quiet small">
      Bars are the interval of the difference to the other version: solid line zero, dashed line the margin. Left of the
      margin is worse, right of it is not worse.
    </p>
    ${own} ${measured.map(evidenceBlock)}`
}

interface Measured {
  readonly event: Rollout
  readonly evidence: RolloutEvidence
}

function newestOfEach(events: readonly Rollout[]): Measured[] {
  const newest = new Map<string, Measured>()
  for (const event of events) {
    if (event.evidence === undefined) continue
    const key = `${event.server} ${event.state} ${event.evidence.comparison}`
    // The newest comes last, in its own place.
    newest.delete(key)
    newest.set(key, { event, evidence: event.evidence })
  }
  return [...newest.values()]
}

function heldOut(story: VersionStory): Html | undefined {
  const found = heldOutOf(story)
  if (found === undefined) return undefined
  const { alpha, parentAlpha, greedyMatch, positions } = found
  const difference = alpha === undefined || parentAlpha === undefined ? undefined : alpha - parentAlpha
  return html`<article class="evidence">
    <h3>Trainer's held-out windows <span class="quiet">before it was published</span></h3>
    ${difference !== undefined && intervalBar({ difference, margin: 0 })}
    <p>
      alpha ${fixed(alpha)} against ${fixed(parentAlpha)} of its
      parent${difference !== undefined && html` (<strong>${signed(difference)}</strong>)`}, over ${count(positions)}
      positions; greedy match ${fixed(greedyMatch)}
    </p>
  </article>`
}

function evidenceBlock({ event, evidence }: Measured): Html {
  const { comparison, low, high, margin, errorRate, requests } = evidence
  const stage = stages[stateName(event.state)] ?? stateName(event.state)
  const unit = comparison === 'live-acceptance' ? 'acceptance' : 'alpha'
  const verdict = verdictOf(low, high, margin)
  return html`<article class="evidence">
    <h3>
      ${comparisons[comparison] ?? comparison}
      <span class="quiet">${stage}, against v${event.otherVersion}, by ${event.server}</span>
    </h3>
    ${intervalBar(evidence)}
    <p><strong class="verdict ${verdict.look}">${verdict.words}</strong>: ${evidenceInWords(evidence)}</p>
    <p class="quiet small">
      ${unit} ${fixed(evidence.value)} against ${fixed(evidence.otherValue)}; a round of five proposals gives
      ${fixed(evidence.acceptanceLength, 2)} tokens against ${fixed(evidence.otherAcceptanceLength, 2)}; the interval
      misses in at most ${fixed(100 * errorRate, 1)} % of cases${requests > 0 && `; ${count(requests)} requests`}
    </p>
    ${slices(evidence, `${event.server} ${event.state}`)}
  </article>`
}

/** All of them on one scale. */
function slices({ slices: all, margin, comparison }: RolloutEvidence, key: string): Part {
  if (all.length === 0) return undefined
  const reach = Math.max(1.6 * margin, ...all.map(({ value, otherValue }) => Math.abs(value - otherValue)))
  return html`<details data-keep="${key} ${comparison}">
    <summary>By tenant and domain</summary>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">slice</th>
            <th scope="col" class="number">positions</th>
            <th scope="col" class="number">this</th>
            <th scope="col" class="number">other</th>
            <th scope="col" class="number">difference</th>
            <th scope="col" class="bar-cell"></th>
          </tr>
        </thead>
        <tbody>
          ${all.map(({ label, name, positions, value, otherValue }) => {
            const difference = value - otherValue
            return html`<tr>
              <th scope="row">${label} ${nameOf(name)}</th>
              <td class="number">${count(positions)}</td>
              <td class="number">${fixed(value)}</td>
              <td class="number">${fixed(otherValue)}</td>
              <td class="number">${signed(difference)}</td>
              <td class="bar-cell">${intervalBar({ difference, margin }, reach)}</td>
            </tr>`
          })}
        </tbody>
      </table>
    </div>
  </details>`
}
