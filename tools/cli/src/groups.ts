import { groups, topics } from '@plateau/contracts'

export interface GroupOfTopic {
  readonly group: string
  readonly topic: string
}

/** Which group reads which topic in order to act. */
export const knownGroups: readonly GroupOfTopic[] = [
  { group: groups.scorer, topic: topics.tokenDistributions.name },
  { group: groups.trainer, topic: topics.trainingWindows.name },
]
