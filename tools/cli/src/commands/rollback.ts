import type { rollout } from '@plateau/contracts'
import { command } from '../command.js'
import { value, wholeNumber } from '../option.js'
import { askServing, ORDER_DETAILS, orderOptions } from '../rollouts/admin-client.js'

export const rollback = command({
  name: 'rollback',
  summary: 'takes a version of a draft off traffic for good; the last good one takes its place',
  details: `
Requests under way finish on the version that they began with. Only plateau promote brings it back.${ORDER_DETAILS}`,
  options: { version: value('N', 'default: the live one', wholeNumber(1)), ...orderOptions },
  run: async (context, { lineage, version = 0, reason, admin }) => {
    const { callUnary } = await import('@plateau/rpc')
    const done = await askServing(context, admin, (client, settings) =>
      callUnary<rollout.RollbackRequest, rollout.RollbackResponse>(
        client.rollback.bind(client),
        { lineage, version, reason },
        settings,
      ),
    )
    const live = done.liveVersion === 0 ? 'no version is live' : `version ${done.liveVersion} is live`
    context.report({
      json: { lineage, ...done },
      text: `version ${done.version} of lineage ${lineage} is off traffic; ${live}\n`,
    })
    return 0
  },
})
