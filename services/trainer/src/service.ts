import { openWatchedCheckpoints, watchConsumer, watchLag, type ServiceSpec } from '@plateau/service-kit'
import type { Lease } from '@plateau/event-log'
import { setPriority } from 'node:os'
import { trainerConfig } from './config.js'
import { declareTrainerMetrics } from './metrics.js'
import type { Term } from './writer-terms.js'

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
    const { isStoreMisconfigured } = await import('@plateau/checkpoints')
    const { topics } = await import('@plateau/contracts')
    const { untilItWorks } = await import('./retry-later.js')
    const source = topics.trainingWindows
    await eventLog.ensureTopics([source, ...toldTopics, ...lineageTopics, trainerDeadLetters])
    let beat = (): void => {}
    const { store, problem } = await openWatchedCheckpoints(config, {
      metrics: registry,
      logger,
      signal,
      clock,
      onWaiting: () => beat(),
    })
    health.note('checkpoints', problem)
    const files = { ...(await readTrainerFiles(config)), store }
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
    const open = async (lease: Lease): Promise<Term> => {
      const progress = health.progress('training loop', STALL_MS)
      beat = (): void => progress.beat()
      try {
        const around = { log: eventLog, producer, logger, metrics, clock, beat }
        // A store that goes away just now is waited for: there is nothing to do without.
        const trainer = await untilItWorks('training not begun', () => openTrainer(config, files, lease, around), {
          logger,
          signal: AbortSignal.any([signal, lease.lost]),
          beat,
        })
        return { run: () => trainer.run().finally(() => progress.done()), close: () => trainer.close() }
      } catch (error) {
        progress.done()
        throw error
      }
    }
    const usable = (): Promise<void> =>
      untilItWorks('the checkpoint store cannot be written to', () => store.check('write', signal), {
        logger,
        signal,
        ends: isStoreMisconfigured,
      })
    const terms = { log: eventLog, lineage, sessionTimeoutMs, logger, metrics, usable, open }
    const serving = serveTerms(terms, signal).catch((error: unknown) => {
      if (!signal.aborted) fail(error)
    })
    return {
      stop: async () => {
        consumer.done()
        // A dead letter that the log has not taken by then is left: its window comes again.
        await serving
      },
    }
  },
}
