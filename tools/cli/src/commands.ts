import type { Command } from './command.js'
import { checkpoints } from './commands/checkpoints.js'
import { checkpointsExport } from './commands/checkpoints-export.js'
import { dlqList } from './commands/dlq-list.js'
import { dlqReplay } from './commands/dlq-replay.js'
import { dlqShow } from './commands/dlq-show.js'
import { draftsForget } from './commands/drafts-forget.js'
import { exportScoredTokensCommand } from './commands/export-scored-tokens.js'
import { lag } from './commands/lag.js'
import { modelFetch } from './commands/model-fetch.js'
import { modelInspect } from './commands/model-inspect.js'
import { modelList } from './commands/model-list.js'
import { policy, policyClear } from './commands/policy.js'
import { rollouts } from './commands/rollouts.js'
import { schemasCheck, schemasRegister } from './commands/schemas.js'
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
  policy,
  policyClear,
  modelList,
  modelFetch,
  modelInspect,
  draftsForget,
]
