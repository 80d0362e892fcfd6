import { randomBytes } from 'node:crypto'
import { openTransport, type ServiceSpec } from '@plateau/service-kit'
import { targetCallers } from './callers.js'
import { targetModelConfig } from './config.js'
import { declareTargetMetrics } from './metrics.js'

/** Part of the drain that is kept for flushing captured windows after the last response. */
const FLUSH_SHARE = 0.25

export const targetModel: ServiceSpec<typeof targetModelConfig.fields> = {
  name: 'target-model',
  config: targetModelConfig,
  opsPort: 9101,
  async start({ config, eventLog, health, logger, metrics: registry, clock }) {
    // Imported late: these load grpc-js, which tracing has to see first.
    const { startServer } = await import('@plateau/rpc')
    const { grpcTargetService } = await import('./grpc-service.js')
    const { TargetCalls } = await import('./target-calls.js')
    const { observeDecoder, recordRun } = await import('./decoder-metrics.js')
    const { loadTarget } = await import('./target.js')
    const { openRedaction } = await import('./redaction.js')
    const { WindowPublisher } = await import('./window-publisher.js')

    const { readDescriptorSet, topics } = await import('@plateau/contracts')

    const redaction = config.redactionModule && (await openRedaction(config.redactionModule, config.model))
    await eventLog.ensureTopics([topics.tokenDistributions])
    const metrics = declareTargetMetrics(registry)
    const loaded = await loadTarget(config.model, { ...config, onRun: (run) => recordRun(metrics, run) })
    observeDecoder(metrics, loaded.decoder)
    // Waits when it is full; requests do not, for the publisher's own queue in front of it sheds.
    const producer = eventLog.producer({ whenFull: 'wait' })
    const publisher = new WindowPublisher(producer, {
      maxQueueBytes: config.captureQueueBytes,
      logger,
      metrics,
      redact: redaction || undefined,
    })
    const calls = new TargetCalls(loaded, config, {
      metrics,
      clock,
      freshSeed: () => randomBytes(4).readUInt32LE(),
      capture: config.capture ? (window, cause) => publisher.offer(window, cause) : undefined,
    })
    const transport = await openTransport(config, { service: 'target-model', logger, metrics: registry, clock })
    const report = (error: unknown, path: string): void => logger.error('call failed', { path, error })
    const server = await startServer({
      ...transport.server(targetCallers),
      address: config.address,
      services: [grpcTargetService(calls, metrics, report)],
      isReady: () => health.readiness().ok,
      reflection: config.grpcReflection ? await readDescriptorSet() : undefined,
      report,
    })
    logger.info('target model loaded', {
      model: loaded.description.modelId,
      fingerprint: loaded.description.fingerprint,
      parameters: loaded.description.parameterCount,
      format: loaded.description.format,
      weights: config.weights,
      weightBytes: loaded.decoder.weightBytes,
      weightMemory: loaded.decoder.weightMemory,
      builtBefore: loaded.decoder.fromCache,
      threads: loaded.threads,
      cacheBytes: config.cacheBytes,
      maxContext: loaded.decoder.maxContext,
      address: server.address,
      tls: transport.isSecure,
      capture: config.capture,
      redaction: config.redactionModule,
    })
    return {
      // Last responses first, for they still capture; then their windows; then the engine, which must be idle. What the
      // log had not taken by then is left: the log, closed after this, gives it a last moment.
      stop: async () => {
        await server.drain(config.drainMs * (1 - 2 * FLUSH_SHARE))
        await publisher.close(config.drainMs * FLUSH_SHARE)
        await loaded.decoder.release()
        transport.close()
      },
    }
  },
}
