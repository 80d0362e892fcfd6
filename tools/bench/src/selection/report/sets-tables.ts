/** Which samples the selectors kept: how alike their choices are, and what is missing from them. */
import { fixed, percent, sections, table } from './markdown.js'
import { jaccard, jaccardByChance, type SampleFacts, type SelectedSets } from './selected-sets.js'

export function overlapTables(sets: readonly SelectedSets[]): string {
  return sections(
    sets.map(({ target, keep, kept }) => {
      const names = Object.keys(kept)
      const rows = names.map((name, i) => [
        name,
        ...names.map((other, j) => (j > i ? '' : fixed(jaccard(kept[name]!, kept[other]!), 2))),
      ])
      const chance = fixed(jaccardByChance(keep), 2)
      return `**${target}, ${percent(keep)} of the positions** (by chance ${chance})\n\n${table(['', ...names], rows)}`
    }),
  )
}

/** Spearman's rank correlations of single training positions: what the selectors can and cannot tell apart. */
export function correlationTable(sets: readonly SelectedSets[]): string {
  if (sets.length === 0) return sections([])
  const pairs = Object.keys(sets[0]!.correlations)
  return table(
    ['', ...sets.map(({ target }) => target)],
    pairs.map((pair) => [pair, ...sets.map(({ correlations }) => fixed(correlations[pair], 2))]),
  )
}

/** Share of each domain's positions that was kept, mean length and flatness of what was, share of positions with code. */
export function keptTables(sets: readonly SelectedSets[]): string {
  return sections(
    sets.map(({ target, samples, kept }) => {
      const domains = [...new Set(samples.map(({ domain }) => domain))]
      const row = (name: string, chosen: readonly SampleFacts[]): string[] => [
        name,
        ...domains.map((domain) => percent(positionsOf(chosen, domain) / positionsOf(samples, domain))),
        fixed(positionsOf(chosen) / chosen.length, 1),
        fixed(
          weighted(chosen, ({ flatness }) => flatness),
          4,
        ),
        percent(weighted(chosen, ({ code }) => Number(code))),
      ]
      return `**${target}**\n\n${table(
        ['selector', ...domains.map((domain) => `${domain} kept`), 'positions a sample', 'flatness', 'with code'],
        [
          row('all', samples),
          ...Object.entries(kept).map(([name, indices]) =>
            row(
              name,
              indices.map((i) => samples[i]!),
            ),
          ),
        ],
      )}`
    }),
  )
}

function positionsOf(samples: readonly SampleFacts[], domain?: string): number {
  return samples.reduce(
    (sum, sample) => sum + (domain === undefined || sample.domain === domain ? sample.positions : 0),
    0,
  )
}

/** Mean over positions. */
function weighted(samples: readonly SampleFacts[], of: (sample: SampleFacts) => number): number {
  return samples.reduce((sum, sample) => sum + sample.positions * of(sample), 0) / positionsOf(samples)
}
