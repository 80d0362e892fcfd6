import { topics, type DraftCheckpoint, type Rollout, type RolloutOrder } from '@plateau/contracts'
import type { Context, ExitCode } from '../command.js'
import { readValues } from './read-records.js'
import { eventParagraph, orderLine, orderName, stateName, time } from './rollout-text.js'

/** Everything that the log has about one version, lineage by lineage. 1 when it has nothing. */
export async function explainVersion(
  context: Context,
  version: number,
  lineage: string | undefined,
): Promise<ExitCode> {
  const isAsked = (found: { readonly lineage: string; readonly version: number }): boolean =>
    found.version === version && found.lineage === (lineage ?? found.lineage)
  const events = (await readValues(context, topics.rollouts)).filter(isAsked)
  const orders = (await readValues(context, topics.rolloutOrders)).filter(isAsked)
  const announced = (await readValues(context, topics.draftCheckpoints)).filter(isAsked)
  const lineages = [...new Set([...events, ...orders, ...announced].map((found) => found.lineage))].toSorted()
  const stories = lineages.map((name) => ({
    lineage: name,
    version,
    checkpoint: announced.find((found) => found.lineage === name),
    events: events.filter((found) => found.lineage === name),
    orders: orders.filter((found) => found.lineage === name),
  }))
  const nothing = `nothing is recorded about version ${version}${lineage === undefined ? '' : ` of lineage ${lineage}`}\n`
  context.report({
    json: stories.map((story) => ({
      ...story,
      events: story.events.map((event) => ({ ...event, state: stateName(event.state) })),
      orders: story.orders.map((order) => ({ ...order, kind: orderName(order.kind) })),
    })),
    text: stories.length === 0 ? nothing : stories.map(storyText).join('\n'),
  })
  return stories.length === 0 ? 1 : 0
}

interface Story {
  readonly lineage: string
  readonly version: number
  readonly checkpoint: DraftCheckpoint | undefined
  readonly events: readonly Rollout[]
  readonly orders: readonly RolloutOrder[]
}

function storyText({ lineage, version, checkpoint, events, orders }: Story): string {
  return [
    `version ${version} of lineage ${lineage}`,
    ...(checkpoint === undefined ? [] : [announcementText(checkpoint)]),
    ...events.map((event) => `\n${eventParagraph(event)}`),
    ...(orders.length === 0 ? [] : ['\norders in force', ...orders.map((order) => `    ${orderLine(order)}`)]),
    '',
  ].join('\n')
}

function announcementText({
  publishedAtMs,
  parentVersion,
  kind,
  evaluation,
  trainedPositions,
}: DraftCheckpoint): string {
  const parent = parentVersion === 0 ? 'the first' : `trained from version ${parentVersion}`
  const alpha =
    evaluation === undefined
      ? ''
      : `; the trainer measured alpha ${evaluation.alpha.toFixed(4)} on ${evaluation.positions} positions` +
        (Number.isNaN(evaluation.parentAlpha) ? '' : `, its parent ${evaluation.parentAlpha.toFixed(4)}`)
  return `published ${time(publishedAtMs)}: ${kind}, ${parent}, ${trainedPositions} positions${alpha}`
}
