import type { AcceptedRecord } from './training-record.js'

/** Not set: all. An empty name stands for traffic that has none. */
export interface Traffic {
  readonly trainDomains?: readonly string[] | undefined
  readonly trainTenants?: readonly string[] | undefined
}

/** Whether a lineage learns from windows of this domain and tenant. */
export function isLearnedFrom(
  { trainDomains, trainTenants }: Traffic,
  { domain, tenant }: Pick<AcceptedRecord, 'domain' | 'tenant'>,
): boolean {
  return (trainDomains?.includes(domain) ?? true) && (trainTenants?.includes(tenant) ?? true)
}
