import { DraftCheckpoint, PlateauError, topics, unframe } from '@plateau/contracts'
import { readUpToNow } from '@plateau/event-log'
import { command } from '../command.js'
import { text, value } from '../option.js'
import { table } from '../table.js'

export const checkpoints = command({
  name: 'checkpoints',
  summary: 'the drafts that were announced, with what they were found to be worth',
  details: 'The topic is compacted by lineage: of older versions only those are left that are not cleaned away yet.',
  options: { lineage: value('L', 'only this one', text) },
  run: async (context, options) => {
    const log = await context.openLog()
    const found: DraftCheckpoint[] = []
    try {
      const reader = log.reader({ topic: topics.draftCheckpoints.name, from: 'earliest' })
      for await (const batch of readUpToNow(reader, context.signal)) {
        for (const { value: encoded } of batch.records) {
          if (encoded !== null) found.push(DraftCheckpoint.decode(unframe(encoded).payload))
        }
      }
    } catch (error) {
      if (!(error instanceof PlateauError) || error.code !== 'UNKNOWN_TOPIC') throw error
    }
    const chosen = found.filter(({ lineage }) => options.lineage === undefined || lineage === options.lineage)
    context.report({ json: chosen, text: checkpointTable(chosen) })
    return 0
  },
})

function checkpointTable(found: readonly DraftCheckpoint[]): string {
  if (found.length === 0) return 'no draft has been announced\n'
  return table(
    ['lineage', 'version', 'parent', 'published', 'kind', 'alpha', "parent's", 'greedy', 'trained on', 'manifest'],
    found.map((checkpoint) => [
      checkpoint.lineage,
      checkpoint.version,
      checkpoint.parentVersion,
      new Date(checkpoint.publishedAtMs).toISOString(),
      checkpoint.kind,
      share(checkpoint.evaluation?.alpha),
      share(checkpoint.evaluation?.parentAlpha),
      share(checkpoint.evaluation?.greedyMatch),
      checkpoint.trainedPositions,
      checkpoint.manifestPath,
    ]),
  )
}

function share(value: number | undefined): string | undefined {
  return value === undefined || Number.isNaN(value) ? undefined : value.toFixed(4)
}
