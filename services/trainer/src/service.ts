import { watchConsumer, watchLag, type ServiceSpec } from '@plateau/service-kit'
import { setPriority } from 'node:os'
import { trainerConfig } from './config.js'
import { declareTrainerMetrics } from './metrics.js'

/** A turn of the loop is a solve or a gradient step; at the lowest priority on a busy machine it may take its time. */
const STALL_MS = 180_000

export const trainer: ServiceSpec<typeof trainerConfig.fields> = {
  name: 'trainer',
  config: trainerConfig,
  opsPort: 9103,
  async start({ config, eventLog, logger, metrics: registry, health, signal, clock, fail }) {
    // Threads made from now on inherit it: the arithmetic takes what serving leaves.
    setPriority(config.niceness)
    // Imported late: the contracts load grpc-js, which tracing has to see first.
    const { openTrainer, readTrainerFiles } = await import('./open-trainer.js')
    const { lineageTopics, serveTerms, toldTopics } = await import('./writer-terms.js')
    const { trainerDeadLetters } = await import('./dead-letters.js')
    const { lagGroupOf } = await import('./lag-group.js')
    const { topics } = await import('@plateau/contracts')
    const source = topics.trainingWindows
    await eventLog.ensureTopics([source, ...toldTopics, ...lineageTopics, trainerDeadLetters])
    const files = await readTrainerFiles(config)
    const consumer = watchConsumer(health, clock, config.kafkaPatienceMs)
    await watchLag({
      log: eventLog,
      group: lagGroupOf(config),
      topic: source.name,
      metrics: registry,
      logger,
      signal,
      onAnswer: consumer.onAlive,
    })

    const metrics = declareTrainerMetrics(registry)
    const producer = eventLog.producer({ whenFull: 'wait' })
    const { lineage, writerTimeoutMs: sessionTimeoutMs } = config
    const serving = serveTerms(
      {
        log: eventLog,
        lineage,
        sessionTimeoutMs,
        logger,
        metrics,
        open: async (lease) => {
          const progress = health.progress('training loop', STALL_MS)
          const beat = (): void => progress.beat()
          try {
            const around = { log: eventLog, producer, logger, metrics, clock, beat }
            const trainer = await openTrainer(config, files, lease, around)
            return { run: () => trainer.run().finally(() => progress.done()), close: () => trainer.close() }
          } catch (error) {
            progress.done()
            throw error
          }
        },
      },
      signal,
    ).catch(fail)
    return {
      stop: async () => {
        consumer.done()
        // A dead letter that the log has not taken by then is left: its window comes again.
        await serving
      },
    }
  },
}
