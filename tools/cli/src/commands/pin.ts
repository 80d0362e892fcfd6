import type { rollout } from '@plateau/contracts'
import { command } from '../command.js'
import { value, wholeNumber } from '../option.js'
import { askServing, ORDER_DETAILS, orderOptions } from '../rollouts/admin-client.js'

export const pin = command({
  name: 'pin',
  summary: 'makes a version of a draft live and keeps it so, until plateau unpin',
  details: `
No other version of its lineage serves a request, newer ones are not tested, and it is not rolled back by itself.${ORDER_DETAILS}`,
  options: { version: value('N', 'default: the live one', wholeNumber(1)), ...orderOptions },
  run: async (context, { lineage, version = 0, reason, admin }) => {
    const { callUnary } = await import('@plateau/rpc')
    const done = await askServing(context, admin, (client, settings) =>
      callUnary<rollout.PinRequest, rollout.PinResponse>(
        client.pin.bind(client),
        { lineage, version, reason },
        settings,
      ),
    )
    context.report({ json: { lineage, ...done }, text: `version ${done.version} of lineage ${lineage} is pinned\n` })
    return 0
  },
})

export const unpin = command({
  name: 'unpin',
  summary: 'lets newer versions of a draft be tested and served again',
  details: ORDER_DETAILS,
  options: orderOptions,
  run: async (context, { lineage, reason, admin }) => {
    const { callUnary } = await import('@plateau/rpc')
    const done = await askServing(context, admin, (client, settings) =>
      callUnary<rollout.UnpinRequest, rollout.UnpinResponse>(client.unpin.bind(client), { lineage, reason }, settings),
    )
    const text = `version ${done.version} of lineage ${lineage} is pinned no longer: newer ones are tested again\n`
    context.report({ json: { lineage, ...done }, text })
    return 0
  },
})
