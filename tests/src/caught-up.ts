import { type Cluster, lagGroups, Observer } from '@plateau/demo'
import { until } from './until.js'

/** Until the scorer and the trainer have worked off what was captured. */
export async function caughtUp(cluster: Cluster): Promise<void> {
  const log = await cluster.openEventLog()
  const observer = new Observer(log, 'default')
  try {
    await until(async () => {
      const lags = await Promise.all(lagGroups.map(({ group, topic }) => observer.lag(group, topic)))
      return lags.every((lag) => lag === 0) ? true : undefined
    }, 60_000)
  } finally {
    await log.close()
  }
}
