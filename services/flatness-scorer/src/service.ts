import { selectionPolicy } from '@plateau/flatness'
import { watchConsumer, watchLag, type ServiceSpec } from '@plateau/service-kit'
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { scorerConfig } from './config.js'
import { declareScorerMetrics } from './metrics.js'

/** A batch takes milliseconds, and one question to a log that is away two minutes; one that is silent for longer is stuck. */
const BATCH_STALL_MS = 180_000
/** Part of the drain that the batch in hand gets, when the log does not answer; closing the log takes another part. */
const FINISH_SHARE = 0.25

export const flatnessScorer: ServiceSpec<typeof scorerConfig.fields> = {
  name: 'flatness-scorer',
  config: scorerConfig,
  opsPort: 9102,
  async start({ config, eventLog, logger, metrics, health, signal, clock, fail }) {
    // Imported late: the contracts load grpc-js, which tracing has to see first.
    const { Scorer, SCORER_GROUP, scorerTopics } = await import('./scorer.js')
    await eventLog.ensureTopics(scorerTopics)
    await watchLag({ log: eventLog, group: SCORER_GROUP, topic: scorerTopics[0].name, metrics, logger, signal })
    const consumer = watchConsumer(health, clock, config.kafkaPatienceMs)
    const scorer = new Scorer(
      {
        lineage: config.lineage,
        server: `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`,
        policy: selectionPolicy({
          ...config,
          unit: config.keepUnit,
          budget: config.keepBudget,
          stratified: config.stratify,
          sampling: config.keepSampling,
        }),
        shares: { evaluation: config.evaluationShare, control: config.controlShare },
        recentWindows: config.recentWindows,
        warmUpWindows: config.warmUpWindows,
        batchWindows: config.batchWindows,
      },
      {
        log: eventLog,
        logger,
        metrics: declareScorerMetrics(metrics),
        clock,
        batchBegins: (partition) => health.progress(`batch of partition ${partition}`, BATCH_STALL_MS),
        onAlive: consumer.onAlive,
      },
    )
    const running = scorer.run().catch(fail)
    return {
      stop: async () => {
        consumer.done()
        await scorer.close(config.drainMs * FINISH_SHARE)
        await running
      },
    }
  },
}
