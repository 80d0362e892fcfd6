import type { Command } from './command.js'
import { certsIssue, certsList } from './commands/certs.js'
import { checkpoints } from './commands/checkpoints.js'
import { checkpointsExport } from './commands/checkpoints-export.js'
import { dlqList } from './commands/dlq-list.js'
import { dlqReplay } from './commands/dlq-replay.js'
import { dlqShow } from './commands/dlq-show.js'
import { exportScoredTokensCommand } from './commands/export-scored-tokens.js'
import { keysAdd, keysList, keysRemove } from './commands/keys.js'
import { lag } from './commands/lag.js'
import { modelFetch } from './commands/model-fetch.js'
import { modelInspect } from './commands/model-inspect.js'
import { modelList } from './commands/model-list.js'
import { policy, policyClear } from './commands/policy.js'
import { pin, unpin } from './commands/pin.js'
import { promote } from './commands/promote.js'
import { rollback } from './commands/rollback.js'
import { rolloutsStatus } from './commands/rollouts-status.js'
import { rollouts } from './commands/rollouts.js'
import { schemasCheck, schemasRegister } from './commands/schemas.js'
import { draftsForget, tenantsForget } from './commands/tenants-forget.js'
import { tenantsList } from './commands/tenants-list.js'
import { selftest } from './commands/selftest.js'
import { train } from './commands/train.js'
import { topicsApply, topicsDiff, topicsList } from './commands/topics.js'

/** In the order in which help lists them. */
export const commands: readonly Command[] = [
  topicsList,
  topicsDiff,
  topicsApply,
  lag,
  dlqList,
  dlqShow,
  dlqReplay,
  exportScoredTokensCommand,
  schemasRegister,
  schemasCheck,
  train,
  checkpoints,
  checkpointsExport,
  rollouts,
  rolloutsStatus,
  promote,
  rollback,
  pin,
  unpin,
  policy,
  policyClear,
  modelList,
  modelFetch,
  modelInspect,
  selftest,
  keysAdd,
  keysList,
  keysRemove,
  certsIssue,
  certsList,
  tenantsList,
  tenantsForget,
  draftsForget,
]
