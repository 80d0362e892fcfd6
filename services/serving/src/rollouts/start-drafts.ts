import { readVerifyingKey, type CheckpointStore } from '@plateau/checkpoints'
import { topics } from '@plateau/contracts'
import type { DraftTargetModel, Tokenizer } from '@plateau/model-files'
import { DraftRouter, standardRouting, standardTrial } from '@plateau/rollout'
import { openWatchedCheckpoints, type ServiceContext } from '@plateau/service-kit'
import type { DecodingModes, Random } from '@plateau/speculation'
import type { ServingConfig } from '../config.js'
import { DraftLoader } from '../load-draft.js'
import type { DriftWatch } from '../drift-watch.js'
import type { Outbox } from '../outbox.js'
import type { ServingMetrics } from '../serving-metrics.js'
import type { TargetLink } from '../target-link.js'
import { DraftFleet } from './draft-fleet.js'
import { draftName } from './draft-name.js'
import { EquivalenceProbe } from './equivalence-probe.js'
import { findCheckpoint } from './find-checkpoint.js'
import { HeldOutWindows } from './held-out-windows.js'
import { LineageRollout } from './lineage-rollout.js'
import { LoadedDraft, type DraftIdentity } from './loaded-draft.js'
import { RolloutReporter } from './rollout-reporter.js'
import { untilItCan } from './until-it-can.js'

export interface DraftParts {
  readonly server: string
  readonly model: DraftTargetModel
  readonly tokenizer: Tokenizer
  readonly target: TargetLink
  readonly outbox: Outbox
  readonly drift: DriftWatch
  readonly metrics: ServingMetrics
  readonly modes: DecodingModes
  readonly random: Random
}

/** Held-out windows that are remembered. */
const MAX_WINDOWS = 24
const PROBES = ['The quick brown fox jumps over', '{"name": "plateau", "items": [1, 2, 3']
/** Between looks whether a target is there again, or a floor can be had. */
const RETRY_MS = 500

/** Everything about drafts, from the log's announcements to the one that a request uses. Runs until it is closed. */
export async function startDrafts(
  context: ServiceContext<ServingConfig>,
  { server, model, tokenizer, target, outbox, drift, metrics, modes, random }: DraftParts,
): Promise<DraftFleet> {
  const { config, logger, eventLog, clock, fail } = context
  await eventLog.ensureTopics([topics.rolloutOrders, topics.trainingWindows])
  // A store that is away holds nothing up: drafts that are loaded are served on, new ones wait.
  const { store, problem } = await openWatchedCheckpoints(config, context)
  context.health.note('checkpoints', problem)
  // The configuration refuses speculation without a key.
  const verifyingKey = await readVerifyingKey(config.verifyKeyFile!)
  const names = [config.lineage, ...(config.furtherLineages ?? [])]
  const reporter = new RolloutReporter({ server, outbox, clock })
  const router = new DraftRouter({ ...standardRouting, exploreShare: config.exploreShare })
  const windows = new HeldOutWindows({
    targetFingerprint: model.fingerprint,
    tokenizerHash: model.tokenizerHash,
    hiddenSize: model.config.hiddenSize,
    maxWindows: MAX_WINDOWS,
  })
  const probe = new EquivalenceProbe({
    target,
    prompts: PROBES.map((text) => tokenizer.encode(text)),
    promptFeatures: config.promptFeatures,
    clockUs: () => performance.now() * 1000,
  })
  const onReleased = ({ name }: DraftIdentity, error?: unknown): void => {
    router.forget(name)
    if (error === undefined) logger.debug('draft released', { version: name })
    else logger.error('draft not released', { version: name, error })
  }
  const { canaryShare, holdbackShare, margin, errorRate, shadowPositions, canaryRequests, stageMs, maxProposal } =
    config
  const trial = { ...standardTrial, margin, errorRate, shadowPositions, canaryRequests, stageMs }
  const settings = { ...trial, canaryShare, holdbackShare, maxProposal }
  let floor: LoadedDraft | undefined
  const loader = new DraftLoader({ store, verifyingKey, model, maxProposal, logger })
  await loader.start()
  const lineages = names.map((lineage) => {
    return new LineageRollout({
      lineage,
      settings,
      load: (checkpoint, minVersion, signal) => loader.load(lineage, checkpoint, minVersion, signal),
      probe: (loaded, signal) => probeWhenConnected(probe, target, loaded, signal),
      windows,
      floor: () => floor,
      reporter,
      find: (version) => findCheckpoint(store, lineage, version),
      nameOf: (version) => draftName(lineage, version, config.lineage),
      keep: (replaced) => {
        const best = new Set(
          router.keepers(
            replaced.map(({ identity }) => identity.name),
            config.keptDrafts,
          ),
        )
        return new Set(replaced.filter(({ identity }) => best.has(identity.name)))
      },
      onReleased,
      onSwap: (from) => {
        if (lineage === config.lineage) metrics.liveSince.set({}, clock() / 1000)
        metrics.swaps.add({})
        if (from !== undefined) metrics.swapSeconds.record({}, from.swapMs / 1000)
        if (from !== undefined && from.newestWindowAtMs > 0)
          metrics.signalToLive.record({}, Math.max(0, clock() - from.newestWindowAtMs) / 1000)
        modes.renew()
      },
      onRejected: () => metrics.rejectedVersions.add({}),
      onRolledBack: () => metrics.rolledBack.add({}),
      logger,
      clock,
    })
  })
  const fleet = new DraftFleet({
    lineages,
    floor: () => floor,
    router,
    draw: random,
    windows,
    reporter,
    drift,
    eventLog,
    server,
    onInvalid: () => metrics.rejectedVersions.add({}),
    onClosed: () => loader.close(),
    logger,
    clock,
  })
  fleet.run().catch(fail)
  if (config.floorVersion !== undefined) {
    const { lineage, floorVersion } = config
    const loaded = (): Promise<LoadedDraft> => loadFloor(store, loader, lineage, floorVersion, maxProposal)
    untilItCan(loaded, RETRY_MS, context.signal).then(
      (ready) => {
        floor = ready
      },
      (error: unknown) => logger.error('floor not loaded', { version: floorVersion, error }),
    )
  }
  return fleet
}

async function loadFloor(
  store: CheckpointStore,
  loader: DraftLoader,
  lineage: string,
  version: number,
  maxProposal: number,
): Promise<LoadedDraft> {
  const checkpoint = await findCheckpoint(store, lineage, version)
  const draft = await loader.load(lineage, checkpoint, version)
  return new LoadedDraft(draft, { lineage, version, name: 'floor', checkpoint }, { maxProposal, onReleased: () => {} })
}

/** A target that is away says nothing about a draft: the probe waits for it. */
function probeWhenConnected(
  probe: EquivalenceProbe,
  target: TargetLink,
  loaded: LoadedDraft,
  signal: AbortSignal,
): Promise<string> {
  const probed = async (): Promise<string> => {
    // Throws UNAVAILABLE.
    target.description()
    return probe.run(loaded, signal)
  }
  return untilItCan(probed, RETRY_MS, signal)
}
