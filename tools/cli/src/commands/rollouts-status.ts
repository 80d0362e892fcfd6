import type { rollout } from '@plateau/contracts'
import { command } from '../command.js'
import { text, value } from '../option.js'
import { adminOption, askServing } from '../rollouts/admin-client.js'
import { differenceText, stateName, stateText, time } from '../rollouts/rollout-text.js'
import { table } from '../table.js'

export const rolloutsStatus = command({
  name: 'rollouts status',
  summary: 'what a serving process serves at this moment, what it tests, and what it would go back to',
  details: `
Asks one serving process. For each version in memory: its state and since when, the share of new requests that
use it, requests that use it at this moment, and what was measured last. What happened so far: plateau rollouts.`,
  options: { lineage: value('L', 'only this one', text), admin: adminOption },
  run: async (context, { lineage = '', admin }) => {
    const { callUnary } = await import('@plateau/rpc')
    const status = await askServing(context, admin, (client, settings) =>
      callUnary<rollout.ListVersionsRequest, rollout.ListVersionsResponse>(
        client.listVersions.bind(client),
        { lineage },
        settings,
      ),
    )
    context.report({ json: jsonOf(status), text: statusText(status) })
    return 0
  },
})

function statusText({ server, lineages }: rollout.ListVersionsResponse): string {
  if (lineages.length === 0) return `${server} serves no lineage: it decodes plainly\n`
  return lineages.map((lineage) => lineageText(server, lineage)).join('\n')
}

function lineageText(server: string, { lineage, versions, ...named }: rollout.LineageStatus): string {
  const { liveVersion, lastGoodVersion, pinnedVersion } = named
  const heads = [
    `lineage ${lineage} on ${server}`,
    liveVersion === 0
      ? 'no version is live'
      : `version ${liveVersion} is live${pinnedVersion === liveVersion ? ', pinned' : ''}`,
    ...(pinnedVersion === 0 || pinnedVersion === liveVersion ? [] : [`version ${pinnedVersion} is pinned`]),
    lastGoodVersion === 0 ? 'a rollback goes back to none' : `a rollback goes back to version ${lastGoodVersion}`,
  ]
  const rows = versions.map((version) => [
    version.version,
    stateText(version.state),
    version.sinceMs === 0 ? undefined : time(version.sinceMs),
    `${(version.share * 100).toFixed(1)} %`,
    version.requestsInFlight,
    version.evidence.map(differenceText).join('; ') || undefined,
  ])
  const listed = table(['version', 'state', 'since', 'share', 'in flight', 'measured: difference, interval'], rows)
  return `${heads.join('; ')}\n${rows.length === 0 ? '' : listed}`
}

function jsonOf({ server, lineages }: rollout.ListVersionsResponse): object {
  const named = lineages.map((lineage) => ({
    ...lineage,
    versions: lineage.versions.map((version) => ({ ...version, state: stateName(version.state) })),
  }))
  return { server, lineages: named }
}
