import { Rollout, RolloutState, topics, unframe } from '@plateau/contracts'
import type { Batch } from '@plateau/event-log'
import { command } from '../command.js'
import { flag, text, value } from '../option.js'

export const rollouts = command({
  name: 'rollouts',
  summary: 'what serving did with each version of a draft, and why; oldest first',
  details: 'The topic holds 30 days.',
  options: {
    lineage: value('L', 'only this one', text),
    follow: flag('go on as they come, until Ctrl-C'),
  },
  run: async (context, options) => {
    const log = await context.openLog()
    const reader = log.reader({ topic: topics.rollouts.name, from: 'earliest' })
    const stop = () => void reader.close()
    context.signal.addEventListener('abort', stop)
    if (!options.follow) void reader.caughtUp.then(stop, () => {})
    try {
      if (context.signal.aborted) stop()
      for await (const batch of reader) {
        const found = rolloutsOf(batch).filter(({ lineage }) => lineage === (options.lineage ?? lineage))
        for (const rollout of found) context.report({ json: jsonOf(rollout), text: `${line(rollout)}\n` })
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
  return { ...rollout, state: stateName(rollout) }
}

function line(rollout: Rollout): string {
  const swap = rollout.swapMs > 0 ? ` (${rollout.swapMs} ms after it was announced)` : ''
  const what = `${rollout.lineage} version ${rollout.version} ${stateName(rollout)}${swap}`
  const why = rollout.reason === '' ? '' : `: ${rollout.reason}`
  return `${new Date(rollout.atMs).toISOString()}  ${rollout.server}  ${what}${why}`
}

/** "live", "rejected": the enum's name without its prefix. */
function stateName({ state }: Rollout): string {
  return (RolloutState[state] ?? `state ${state}`).replace('ROLLOUT_STATE_', '').toLowerCase()
}
