import { command } from '../command.js'
import { STORE_HELP } from '../open-checkpoints.js'
import { flag, required, text, value } from '../option.js'

const details = `
Windows captured until now are not trained on again, and the next version is solved without them. Versions
whose gradients or closed form used the tenant's windows, as their manifests say, are taken off traffic on
every server for good; requests under way finish. Until the next version comes, the last good one is served
if it did not learn from the tenant, else none. Versions whose manifests do not say it are named and left, and the
exit code is 1, unless --retire-unknown. It asks nothing: try --dry-run first.
Old versions stay in the checkpoint store and windows in the log until they are removed there; the tenant's
later windows are trained on unless they are no longer captured.`

const forget = (name: string, summary: string) =>
  command({
    name,
    summary,
    details,
    options: {
      tenant: required('T', 'whose windows, as requests name it', text),
      lineage: required('L', "which draft's line of versions", text),
      store: value('STORE', `the checkpoint store: ${STORE_HELP}`, text),
      'retire-unknown': flag('also versions of which nobody knows whose windows they used'),
      'dry-run': flag('say what would be done, and do nothing'),
    },
    run: async (context, { tenant, lineage, store, 'retire-unknown': retireUnknown, 'dry-run': dryRun }) => {
      const { forgetTenant } = await import('../tenants/forget-tenant.js')
      return forgetTenant(context, { tenant, lineage, store, retireUnknown, dryRun })
    },
  })

export const tenantsForget = forget(
  'tenants forget',
  "a lineage's trainer forgets what it learned from a tenant, and versions that learned from it are retired",
)

/** As it was called before. */
export const draftsForget = forget('drafts forget', 'the same as tenants forget')
