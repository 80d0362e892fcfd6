import { topics, type Acceptance, type ForgottenTenant } from '@plateau/contracts'
import { command } from '../command.js'
import { text, value } from '../option.js'
import { readValues } from '../rollouts/read-records.js'
import { duration, table } from '../table.js'

interface TenantRow {
  readonly lineage: string
  /** Empty: the default one. */
  readonly tenant: string
  readonly tokens: number
  readonly requests: number
  /** Milliseconds since 1970; undefined: not within what the topic holds. */
  readonly lastSeenMs: number | undefined
  /** What was captured until then is to be forgotten. */
  readonly forgottenUntilMs: number | undefined
}

export const tenantsList = command({
  name: 'tenants list',
  summary: 'whose requests were answered, with tokens and when they last came, and who is to be forgotten',
  details: `
From the acceptance records of the last 7 days. Servers keep a bounded number of tenants apart: further ones
count as "other".`,
  options: { lineage: value('L', 'only this one', text) },
  run: async (context, { lineage }) => {
    const isAsked = (found: { readonly lineage: string }): boolean => found.lineage === (lineage ?? found.lineage)
    const seen = (await readValues(context, topics.acceptance)).filter(isAsked)
    const forgotten = (await readValues(context, topics.forgottenTenants)).filter(isAsked)
    const rows = tenantRows(seen, forgotten)
    context.report({ json: rows, text: tenantTable(rows, context.now()) })
    return 0
  },
})

function tenantRows(seen: readonly Acceptance[], forgotten: readonly ForgottenTenant[]): TenantRow[] {
  const rows = new Map<string, TenantRow>()
  const rowOf = ({ lineage, tenant }: { readonly lineage: string; readonly tenant: string }) => {
    const key = JSON.stringify([lineage, tenant])
    const none = { lineage, tenant, tokens: 0, requests: 0, lastSeenMs: undefined, forgottenUntilMs: undefined }
    return { key, row: rows.get(key) ?? none }
  }
  for (const record of seen) {
    const { key, row } = rowOf(record)
    rows.set(key, {
      ...row,
      tokens: row.tokens + record.numEmittedTokens,
      requests: row.requests + record.requestsFinished + record.requestsFailed,
      lastSeenMs: Math.max(row.lastSeenMs ?? 0, record.toMs),
    })
  }
  for (const record of forgotten) {
    const { key, row } = rowOf(record)
    rows.set(key, { ...row, forgottenUntilMs: Math.max(row.forgottenUntilMs ?? 0, record.capturedUntilMs) })
  }
  return [...rows.values()].toSorted((a, b) => a.lineage.localeCompare(b.lineage) || b.tokens - a.tokens)
}

function tenantTable(rows: readonly TenantRow[], nowMs: number): string {
  if (rows.length === 0) return 'no request was answered in the last 7 days\n'
  return table(
    ['lineage', 'tenant', 'tokens', 'requests', 'last seen', 'forgotten until'],
    rows.map(({ lineage, tenant, tokens, requests, lastSeenMs, forgottenUntilMs }) => [
      lineage,
      tenant === '' ? '(default)' : tenant,
      tokens,
      requests,
      lastSeenMs === undefined ? undefined : `${duration(nowMs - lastSeenMs)} ago`,
      forgottenUntilMs === undefined ? undefined : new Date(forgottenUntilMs).toISOString(),
    ]),
  )
}
