import { encodeHeaders, ForgottenTenant, topics } from '@plateau/contracts'
import { command } from '../command.js'
import { required, text } from '../option.js'

export const draftsForget = command({
  name: 'drafts forget',
  summary: "asks a lineage's trainer to forget what it learned from a tenant",
  details:
    'Windows captured until now are not trained on again, and the next version is solved without them.\n' +
    'Older versions stay in the checkpoint store and windows in the log until they are removed there;\n' +
    "the tenant's later windows are trained on unless they are no longer captured.",
  options: {
    tenant: required('T', 'whose windows, as requests name it', text),
    lineage: required('L', "which draft's line of versions", text),
  },
  run: async (context, { tenant, lineage }) => {
    const { name, messageType } = topics.forgottenTenants
    const log = await context.openLog()
    const atMs = context.now()
    const producer = log.producer()
    const request = { schemaVersion: 1, lineage, tenant, capturedUntilMs: atMs }
    const key = `${lineage}/${tenant}`
    const headers = encodeHeaders({ id: `${key}/${atMs}`, source: '/plateau/cli', type: messageType, timeMs: atMs })
    try {
      await log.ensureTopics([topics.forgottenTenants])
      await producer.send(name, [{ key, value: ForgottenTenant.encode(request).finish(), headers }])
    } finally {
      await producer.close()
    }
    const until = new Date(atMs).toISOString()
    context.report({
      json: { lineage, tenant, capturedUntil: until },
      text: `lineage ${lineage} will forget what it learned from ${tenant} until ${until}: its next version is without it\n`,
    })
    return 0
  },
})
