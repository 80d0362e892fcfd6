import { decodeHeaders, messageOf, PlateauError, RolloutOrder, RolloutOrderKind, topics } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { orderKey, type OrderKind } from './rollout-reporter.js'

const KINDS: ReadonlySet<RolloutOrderKind> = new Set([
  RolloutOrderKind.ROLLOUT_ORDER_KIND_LIVE,
  RolloutOrderKind.ROLLOUT_ORDER_KIND_PIN,
  RolloutOrderKind.ROLLOUT_ORDER_KIND_UNPIN,
  RolloutOrderKind.ROLLOUT_ORDER_KIND_RETIRE,
  RolloutOrderKind.ROLLOUT_ORDER_KIND_PROMOTE,
])

/** An order, checked: the kind is known. Throws PlateauError ORDER_INVALID. */
export type Order = RolloutOrder & { readonly kind: OrderKind }

/** A record of the orders topic. Undefined for one without a value, which withdraws nothing: orders are replaced. */
export function decodeOrder({ key, value, headers }: LogRecord): Order | undefined {
  if (value === null) return undefined
  if (decodeHeaders(headers)?.type !== topics.rolloutOrders.messageType) {
    throw new PlateauError('ORDER_INVALID', `its headers do not say that it is a ${topics.rolloutOrders.messageType}`)
  }
  const order = decode(value)
  if (order.schemaVersion !== 1) throw new PlateauError('ORDER_INVALID', `it has schema version ${order.schemaVersion}`)
  if (!isKnown(order)) throw new PlateauError('ORDER_INVALID', `it is of kind ${order.kind}, which is not known here`)
  const expected = orderKey(order.lineage, order.kind, order.version)
  if (key !== expected) throw new PlateauError('ORDER_INVALID', `its key is ${key}, that of its content ${expected}`)
  return order
}

function decode(value: Uint8Array): RolloutOrder {
  try {
    return RolloutOrder.decode(value)
  } catch (cause) {
    throw new PlateauError('ORDER_INVALID', `it is not a RolloutOrder: ${messageOf(cause)}`, { cause })
  }
}

function isKnown(order: RolloutOrder): order is Order {
  return KINDS.has(order.kind)
}
