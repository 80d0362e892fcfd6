import { readDescriptorSet, topics } from '@plateau/contracts'
import {
  callerName,
  isLoopback,
  openTransport,
  type OpsHandler,
  type RunningService,
  type ServiceContext,
} from '@plateau/service-kit'
import { loadTokenizer, readDraftTarget } from '@plateau/model-files'
import { startServer, type CallContext } from '@plateau/rpc'
import { DecodingModes, seededRandom } from '@plateau/speculation'
import { randomInt, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { AcceptanceLedger } from './acceptance-ledger.js'
import { AcceptanceReporter } from './acceptance-reporter.js'
import type { Access } from './access/access.js'
import { startAccess } from './access/start-access.js'
import { Admission } from './admission.js'
import { BoundedLabels } from './bounded-labels.js'
import { orderCallers, servingCallers } from './callers.js'
import type { ServingConfig } from './config.js'
import { sharedModel } from './draft-build/shared-model.js'
import { DriftWatch } from './drift-watch.js'
import { grpcApi, statusOf } from './grpc-api.js'
import { chatPrompts } from './openai/chat-prompt.js'
import { HttpApi } from './openai/http-api.js'
import { Outbox } from './outbox.js'
import { adminsOnly, rolloutApi } from './rollout-api.js'
import { UNASSIGNED } from './rollouts/draft-fleet.js'
import { startDrafts } from './rollouts/start-drafts.js'
import { ServingEngine } from './serving-engine.js'
import { declareServingMetrics, observeServing } from './serving-metrics.js'
import { TargetLink, type TargetIdentity } from './target-link.js'
import { packageVersion } from './package-version.js'
import { aliasForVllm } from './vllm-aliases.js'

type Context = ServiceContext<ServingConfig>

/** Versions whose counters are kept; a lineage has thousands. */
const MAX_VERSIONS = 8
/** How long a shutdown waits for a log that does not take the last reports. */
const REPORTS_MS = 2_000

/** Puts the service together. The order of `stop` is the reverse: doors first, then the drafts, the reports, the link. */
export async function startServing(context: Context): Promise<RunningService> {
  const { config, logger, metrics: registry, health, eventLog, clock } = context
  await eventLog.ensureTopics([topics.draftCheckpoints, topics.rollouts, topics.acceptance, topics.drift])
  const model = sharedModel(await readDraftTarget(config.model))
  const tokenizer = await loadTokenizer(config.model)
  const chat = chatPrompts(config.chatFormat, model.chatTemplate, tokenizer)
  const identity: TargetIdentity = { fingerprint: model.fingerprint, tokenizerHash: model.tokenizerHash }
  // In containers host and pid come again after a restart.
  const server = `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`
  const { lineage } = config

  const metrics = declareServingMetrics(registry)
  const [tenants, domains] = [new BoundedLabels(config.maxTenants), new BoundedLabels(config.maxTenants)]
  const ledger = new AcceptanceLedger({ metrics, tenants, domains, maxVersions: MAX_VERSIONS })
  const nowMs = (): number => performance.now()
  const { maxConcurrent, maxWaiting, maxQueueMs } = config
  const admission = new Admission({ maxConcurrent, maxWaiting, maxQueueMs, nowMs })
  const { access, close: closeAccess } = await startAccess(config, { logger, admission, metrics, tenants, nowMs })
  const transport = await openTransport(config, { service: 'serving', logger, metrics: registry, clock })
  const target = new TargetLink({
    address: config.targetAddress,
    channel: transport.client('target-model'),
    expected: identity,
    stallMs: config.targetStallMs,
    logger,
    onMismatch: context.fail,
  })
  health.ready('target', () => target.whyNotReady())
  target.start()

  // Waits when it is full: each reporter has one send at a time under way, and a bound of its own.
  const producer = eventLog.producer({ whenFull: 'wait' })
  const outbox = new Outbox({ producer, logger })
  const random = seededRandom(randomInt(2 ** 32))
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

  const modes = new DecodingModes(() => admission.running)
  const drift = new DriftWatch({ lineage, server, outbox, metrics, tenants, domains, logger, clock })
  const fleet = config.speculation
    ? await startDrafts(context, { server, model, tokenizer, target, outbox, drift, metrics, modes, random })
    : undefined
  const live = () => fleet?.lineages[0]?.live?.loaded

  const engine = new ServingEngine({
    model: model.modelId,
    target,
    tokenizer,
    drafts: fleet ?? { assign: () => UNASSIGNED },
    admission,
    ledger,
    metrics,
    logger,
    timeoutMs: config.requestTimeoutMs,
    maxTokens: config.maxTokens,
    maxPromptTokens: config.maxPromptTokens,
    maxProposal: config.maxProposal,
    promptFeatures: config.promptFeatures,
    speculation: config.speculation,
    modes,
    promptLookup: config.speculation && config.promptLookup,
    mayCapture: captureRule(config),
    nowMs,
    random,
    newId: randomUUID,
  })
  observeServing(registry, {
    running: () => admission.running,
    waiting: () => admission.waiting,
    liveVersion: () => live()?.version ?? 0,
    proposal: () => live()?.controller.snapshot().proposal ?? 0,
    breakEven: () => live()?.controller.snapshot().breakEvenAcceptance,
    targetConnected: () => target.whyNotReady() === undefined,
    acceptance: () => drift.means(),
  })

  if (config.metricAliases === 'vllm') aliasForVllm(registry, model.modelId)

  const http = new HttpApi({
    host: config.httpHost,
    port: config.httpPort,
    model: model.modelId,
    chat,
    access,
    body: { maxBytes: config.maxBodyBytes, timeoutMs: config.clientStallMs },
    maxChoices: admission.capacity,
    requestMetrics: config.requestMetrics,
    maxProposal: config.speculation ? config.maxProposal : undefined,
    maxModelLength: () => target.maxContext(),
    whyNotReady: () => target.whyNotReady(),
    version: await packageVersion(),
    answerOps: config.httpMetrics ? context.answerOps : withoutMetrics(context.answerOps),
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
      swaps: () => metrics.swaps.value({}),
      live,
      ledger,
    })
  const report = (error: unknown, path: string): void => logger.error('rpc failed', { path, error })
  const reflection = config.grpcReflection ? await readDescriptorSet() : undefined
  const isReady = (): boolean => health.readiness().ok
  const rpc = await startServer({
    ...transport.server(servingCallers),
    address: config.grpcAddress,
    services: [grpcApi({ engine, tokenizer, access, status, report })],
    isReady,
    reflection,
    report,
  })
  // Apart from the address of clients, so that a network policy can keep them from it.
  const admin =
    fleet === undefined
      ? undefined
      : await startServer({
          ...transport.server(orderCallers),
          address: config.adminAddress,
          services: [rolloutApi(fleet, { ...orderRights(config.adminAddress, access), logger, report })],
          isReady,
          reflection,
          report,
        })
  const url = await http.listen()
  logger.info('serving', {
    url,
    grpc: rpc.address,
    admin: admin?.address,
    tls: transport.isSecure,
    model: model.modelId,
    fingerprint: model.fingerprint,
  })

  return {
    stop: async () => {
      await Promise.all([http.drain(), rpc.drain(config.drainMs), admin?.drain(config.drainMs)])
      await fleet?.close()
      // What they could not report then is left: the event log, closed after this, gives it a last moment.
      await Promise.all([outbox.close(REPORTS_MS), acceptance.close(REPORTS_MS)])
      await Promise.all([target.close(), closeAccess()])
      transport.close()
    },
  }
}

/**
 * Orders need an admin's key; looking needs one too where others than this machine can reach the address. With mutual TLS the
 * certificate has been asked for before: it says which service, a key says who.
 */
function orderRights(adminAddress: string, { authenticate }: Access) {
  const authorizeOrder = adminsOnly(authenticate, ({ certificate }) => callerName(certificate()))
  if (isLoopback(adminAddress)) return { authorizeOrder }
  const authorizeReading = (context: CallContext): void => void authenticate(context.metadata('authorization'))
  return { authorizeOrder, authorizeReading }
}

/** There is nothing at /metrics then. */
function withoutMetrics(answer: OpsHandler): OpsHandler {
  return (request, response) => request.url?.split('?')[0] !== '/metrics' && answer(request, response)
}

function captureRule({ capture, noCaptureTenants }: ServingConfig): (tenant: string) => boolean {
  const refused = new Set(noCaptureTenants?.split(',').map((tenant) => tenant.trim()))
  return (tenant) => capture !== 'off' && !refused.has(tenant)
}
