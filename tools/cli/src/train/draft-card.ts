import type { ModelDescription } from '@plateau/model-files'
import type { Figures } from './judge.js'
import type { TrainedDraft } from './train-draft.js'

export interface CardFacts {
  readonly target: ModelDescription
  readonly kind: string
  readonly data: string
  readonly licence: string
  readonly command: string
  readonly loss: string
  readonly gradientPositions: number
  readonly positionsByDomain: ReadonlyMap<string, number>
}

/** README.md of a draft: what it is for, where it comes from, what it is worth. */
export function draftCard(name: string, facts: CardFacts, trained: TrainedDraft<unknown>): string {
  const { target, positionsByDomain } = facts
  const domains = [...positionsByDomain].map(([domain, positions]) => `${domain || '(no label)'} ${positions}`)
  return `---
license: ${facts.licence}
tags: [plateau, speculative-decoding, draft]
---

# ${name}

A draft for **${target.modelId}** (${facts.kind}), trained from a recording. It proposes tokens that the target checks; it is
of no use without it, and none for another model.

| | |
|---|---|
| target fingerprint | \`${target.fingerprint}\` |
| tokenizer hash | \`${target.tokenizerHash}\` |
| data | ${facts.data} |
| positions | ${domains.join(', ')}; of these ${trained.trainingPositions} were trained on |
| last stage | ${stageOf(facts, trained)} |
| tokens it can propose | ${(100 * trained.vocabularyCoverage).toFixed(1)} % of what the target gives probability to in the recording |
| numbers | stored as float16 |

    ${facts.command}

On answers that were held out, each position after the target's own text (alpha = mean of sum min(p, q) over the target's
listed tokens, a lower bound; greedy match = same most probable token):

${figuresTable(trained.figures)}
${greedyTable(trained)}`
}

function stageOf({ loss, gradientPositions }: CardFacts, { stage }: TrainedDraft<unknown>): string {
  return stage === 'gradients' ? `gradients, loss ${loss}, over ${gradientPositions} positions` : stage
}

function figuresTable(figures: readonly Figures[]): string {
  const rows = figures.map(({ domain, temperature, positions, alpha, greedyMatch }) =>
    [domain || '(no label)', temperature ?? 'all', positions, alpha.toFixed(3), greedyMatch.toFixed(3)].join(' | '),
  )
  return [
    '| domain | temperature | positions | alpha | greedy match |',
    '|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
  ].join('\n')
}

function greedyTable({ greedy, gamma }: TrainedDraft<unknown>): string {
  if (greedy.length === 0) return ''
  const rows = greedy.map(({ domain, rounds, acceptanceLength, byPosition }) =>
    [domain || '(no label)', rounds, acceptanceLength.toFixed(2), byPosition.map((p) => p.toFixed(2)).join(' ')].join(
      ' | ',
    ),
  )
  return `
Greedy answers replayed with ${gamma} proposals a round (length = 1 + accepted / rounds; by position = share accepted of those
that were reached):

| domain | rounds | length | accepted, by position |
|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`
}
