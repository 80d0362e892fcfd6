import type { ServiceSpec } from '@plateau/service-kit'
import { setPriority } from 'node:os'
import { trainerConfig } from './config.js'
import { declareTrainerMetrics } from './metrics.js'

/** A turn of the loop is a solve or a gradient step; at the lowest priority on a busy machine it may take its time. */
const STALL_MS = 180_000

export const trainer: ServiceSpec<typeof trainerConfig.fields> = {
  name: 'trainer',
  config: trainerConfig,
  opsPort: 9103,
  async start({ config, eventLog, logger, metrics, health, clock, fail }) {
    // Threads made from now on inherit it: the arithmetic takes what serving leaves.
    setPriority(config.niceness)
    // Imported late: the contracts load grpc-js, which tracing has to see first.
    const { openTrainer, trainerDeadLetters } = await import('./open-trainer.js')
    await eventLog.ensureTopics([trainerDeadLetters])
    const progress = health.progress('training loop', STALL_MS)
    const { trainer, close } = await openTrainer(config, {
      log: eventLog,
      logger,
      metrics: declareTrainerMetrics(metrics),
      clock,
      beat: () => progress.beat(),
    })
    const running = trainer.run().catch(fail)
    return {
      stop: async () => {
        await trainer.close()
        await running
        await close()
      },
    }
  },
}
