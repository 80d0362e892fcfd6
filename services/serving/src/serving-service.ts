import { fileStore, readVerifyingKey } from '@plateau/checkpoints'
import { topics } from '@plateau/contracts'
import type { RunningService, ServiceContext } from '@plateau/service-kit'
import { loadTokenizer, readDraftTarget, type DraftTargetModel } from '@plateau/model-files'
import { startServer } from '@plateau/rpc'
import { seededRandom } from '@plateau/speculation'
import { randomInt, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { AcceptanceLedger } from './acceptance-ledger.js'
import { AcceptanceReporter } from './acceptance-reporter.js'
import { Admission } from './admission.js'
import { BoundedLabels } from './bounded-labels.js'
import type { ServingConfig } from './config.js'
import { DraftHolder } from './draft-holder.js'
import { DraftWatcher } from './draft-watcher.js'
import { grpcApi, statusOf } from './grpc-api.js'
import { DraftLoader } from './load-draft.js'
import { chatPrompts } from './openai/chat-prompt.js'
import { HttpApi } from './openai/http-api.js'
import { RolloutReporter } from './rollout-reporter.js'
import { ServingEngine } from './serving-engine.js'
import { declareServingMetrics, observeServing } from './serving-metrics.js'
import { TargetLink, type TargetIdentity } from './target-link.js'

type Context = ServiceContext<ServingConfig>

/** Versions whose counters are kept; a lineage has thousands. */
const MAX_VERSIONS = 8
/** How long a shutdown waits for a log that does not take the last reports. */
const REPORTS_MS = 2_000

/** Puts the service together. The order of `stop` is the reverse: doors first, then the drafts, the reports, the link. */
export async function startServing(context: Context): Promise<RunningService> {
  const { config, logger, metrics: registry, health, eventLog, clock } = context
  await eventLog.ensureTopics([topics.draftCheckpoints, topics.rollouts, topics.acceptance])
  const model = await readDraftTarget(config.model)
  const tokenizer = await loadTokenizer(config.model)
  const chat = chatPrompts(config.chatFormat, model.chatTemplate, tokenizer)
  const identity: TargetIdentity = { fingerprint: model.fingerprint, tokenizerHash: model.tokenizerHash }
  // In containers host and pid come again after a restart.
  const server = `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`
  const { lineage } = config

  const metrics = declareServingMetrics(registry)
  const [tenants, domains] = [new BoundedLabels(config.maxTenants), new BoundedLabels(config.maxTenants)]
  const ledger = new AcceptanceLedger({ metrics, tenants, domains, maxVersions: MAX_VERSIONS })
  const admission = new Admission(config)
  const holder = new DraftHolder({
    maxProposal: config.maxProposal,
    onSwap: () => metrics.swaps.add({}),
    onReleased: (version, error) => {
      if (error === undefined) logger.debug('draft released', { version })
      else logger.error('draft not released', { version, error })
    },
  })
  const target = new TargetLink({ address: config.targetAddress, expected: identity, logger, onMismatch: context.fail })
  health.ready('target', () => target.whyNotReady())
  target.start()

  // Waits when it is full: each reporter has one send at a time under way, and a bound of its own.
  const producer = eventLog.producer({ whenFull: 'wait' })
  const rollouts = new RolloutReporter({ lineage, server, producer, logger, clock })
  const onFailure = (): void => metrics.unreported.add({})
  const acceptance = new AcceptanceReporter({
    ledger,
    producer,
    lineage,
    server,
    logger,
    clock,
    onFailure,
    intervalMs: config.reportMs,
  })
  acceptance.start()

  const engine = new ServingEngine({
    target,
    tokenizer,
    holder,
    admission,
    ledger,
    metrics,
    logger,
    timeoutMs: config.requestTimeoutMs,
    maxProposal: config.maxProposal,
    promptFeatures: config.promptFeatures,
    speculation: config.speculation,
    promptLookup: config.speculation && config.promptLookup,
    mayCapture: captureRule(config),
    nowMs: () => performance.now(),
    random: seededRandom(randomInt(2 ** 32)),
    newId: randomUUID,
  })
  observeServing(registry, {
    running: () => admission.running,
    waiting: () => admission.waiting,
    liveVersion: () => holder.liveVersion,
    proposal: () => holder.controller?.snapshot().proposal ?? 0,
    breakEven: () => holder.controller?.snapshot().breakEvenAcceptance,
    targetConnected: () => target.whyNotReady() === undefined,
  })

  const watcher = config.speculation
    ? await watchDrafts(context, { holder, rollouts, model, onRejected: () => metrics.rejectedVersions.add({}) })
    : undefined

  const http = new HttpApi({
    host: config.httpHost,
    port: config.httpPort,
    model: model.modelId,
    chat,
    maxBodyBytes: config.maxBodyBytes,
    answerOps: context.answerOps,
    newId: randomUUID,
    tokenizer,
    engine,
    logger,
    clock,
  })
  const status = () =>
    statusOf({
      modelId: model.modelId,
      fingerprint: model.fingerprint,
      inFlight: () => admission.running + admission.waiting,
      rejectedVersions: () => metrics.rejectedVersions.value({}),
      speculation: config.speculation,
      holder,
      ledger,
    })
  const report = (error: unknown, path: string): void => logger.error('rpc failed', { path, error })
  const rpc = await startServer({
    address: config.grpcAddress,
    services: [grpcApi({ engine, tokenizer, status, report })],
  })
  const url = await http.listen()
  logger.info('serving', { url, grpc: rpc.address, model: model.modelId, fingerprint: model.fingerprint })

  return {
    stop: async () => {
      await Promise.all([http.drain(), rpc.drain(config.drainMs)])
      await watcher?.close()
      await holder.close()
      // What they could not report then is left: the event log, closed after this, gives it a last moment.
      await Promise.all([rollouts.close(REPORTS_MS), acceptance.close(REPORTS_MS)])
      await target.close()
    },
  }
}

async function watchDrafts(
  { config, logger, eventLog, clock, fail }: Context,
  parts: {
    readonly holder: DraftHolder
    readonly rollouts: RolloutReporter
    readonly model: DraftTargetModel
    readonly onRejected: () => void
  },
): Promise<DraftWatcher> {
  const { lineage, maxProposal } = config
  const loader = new DraftLoader({
    store: fileStore(config.checkpoints),
    // The configuration refuses speculation without a key.
    verifyingKey: await readVerifyingKey(config.verifyKeyFile!),
    model: parts.model,
    lineage,
    maxProposal,
  })
  const watcher = new DraftWatcher({
    lineage,
    eventLog,
    logger,
    clock,
    holder: parts.holder,
    load: (announced, minVersion) => loader.load(announced, minVersion),
    report: (version, state, reason, details) => parts.rollouts.report(version, state, reason, details),
    onRejected: parts.onRejected,
  })
  watcher.run().catch(fail)
  return watcher
}

function captureRule({ capture, noCaptureTenants }: ServingConfig): (tenant: string) => boolean {
  const refused = new Set(noCaptureTenants?.split(',').map((tenant) => tenant.trim()))
  return (tenant) => capture && !refused.has(tenant)
}
