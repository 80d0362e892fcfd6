import type { Command } from './command.js'
import { topicsApply, topicsDiff, topicsList } from './commands/topics.js'
import { lag } from './commands/lag.js'

/** In the order in which help lists them. */
export const commands: readonly Command[] = [topicsList, topicsDiff, topicsApply, lag]
