import { Rollout, topics, unframe } from '@plateau/contracts'
import type { Batch } from '@plateau/event-log'
import { command } from '../command.js'
import { flag, text, value, wholeNumber } from '../option.js'
import { explainVersion } from '../rollouts/explain-version.js'
import { eventLine, stateName } from '../rollouts/rollout-text.js'
import { UsageError } from '../usage-error.js'

export const rollouts = command({
  name: 'rollouts',
  summary: 'what serving did with each version of a draft, and why; oldest first',
  details: `
One line an event: when, which server, what, why, and in brackets what was measured: the difference to the
other version and an interval that holds whenever it is looked at. --version explains one version: every
event with all of its evidence, by tenant and domain, and the orders about it. The topic holds 30 days.
What is served at this moment: plateau rollouts status.`,
  options: {
    lineage: value('L', 'only this one', text),
    version: value('N', 'everything about this version', wholeNumber(1)),
    follow: flag('go on as they come, until Ctrl-C'),
  },
  run: async (context, options) => {
    if (options.version !== undefined) {
      if (options.follow) throw new UsageError('--follow and --version do not go together')
      return explainVersion(context, options.version, options.lineage)
    }
    const log = await context.openLog()
    const reader = log.reader({ topic: topics.rollouts.name, from: 'earliest' })
    const stop = () => void reader.close()
    context.signal.addEventListener('abort', stop)
    if (!options.follow) void reader.caughtUp.then(stop, () => {})
    try {
      if (context.signal.aborted) stop()
      for await (const batch of reader) {
        const found = rolloutsOf(batch).filter(({ lineage }) => lineage === (options.lineage ?? lineage))
        for (const rollout of found) context.report({ json: jsonOf(rollout), text: `${eventLine(rollout)}\n` })
      }
      if (!options.follow && !context.signal.aborted) await reader.caughtUp
    } finally {
      context.signal.removeEventListener('abort', stop)
      await reader.close()
    }
    return 0
  },
})

function rolloutsOf({ records }: Batch): Rollout[] {
  return records.flatMap((record) => (record.value === null ? [] : [Rollout.decode(unframe(record.value).payload)]))
}

function jsonOf(rollout: Rollout): object {
  return { ...rollout, state: stateName(rollout.state) }
}
