import type { rollout } from '@plateau/contracts'
import { command } from '../command.js'
import { value, wholeNumber } from '../option.js'
import { askServing, ORDER_DETAILS, orderOptions } from '../rollouts/admin-client.js'

export const promote = command({
  name: 'promote',
  summary: 'makes a version of a draft live at once, without shadow and canary',
  details: `
It must pass verification, and the watch over live traffic goes on and can take it back.${ORDER_DETAILS}`,
  options: { version: value('N', 'default: the newest that was announced', wholeNumber(1)), ...orderOptions },
  run: async (context, { lineage, version = 0, reason, admin }) => {
    const { callUnary } = await import('@plateau/rpc')
    const done = await askServing(context, admin, (client, settings) =>
      callUnary<rollout.PromoteRequest, rollout.PromoteResponse>(
        client.promote.bind(client),
        { lineage, version, reason },
        settings,
      ),
    )
    context.report({ json: { lineage, ...done }, text: `version ${done.version} of lineage ${lineage} is live\n` })
    return 0
  },
})
