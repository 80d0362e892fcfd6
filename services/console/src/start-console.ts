import { readVerifyingKey } from '@plateau/checkpoints'
import { openWatchedCheckpoints, type RunningService, type ServiceContext } from '@plateau/service-kit'
import type { ConsoleConfig } from './config.js'
import { TopicFollower } from './follow-topics.js'
import { ConsoleServer } from './http/console-server.js'
import { EventStreams } from './http/event-streams.js'
import { Manifests } from './manifests.js'
import type { ConsoleMetrics } from './metrics.js'
import { fold } from './model/fold.js'
import { consoleTopics } from './model/parse-record.js'
import { emptyState } from './model/state.js'
import type { SourceStatus } from './pages/layout.js'
import { Site } from './site.js'

/** A log that is away for so long is said by readiness; the page goes on showing what was read before. */
const AWAY_MS = 15_000

/** Puts the console together: log → state → pages. It stops in the other order. */
export async function startConsole(
  context: ServiceContext<ConsoleConfig>,
  metrics: ConsoleMetrics,
): Promise<RunningService> {
  const { config, eventLog, logger, health, clock } = context
  const { checkpoints } = config
  const watch = checkpoints && (await openWatchedCheckpoints({ ...config, checkpoints }, context))
  if (watch !== undefined) health.note('checkpoints', watch.problem)
  const key = config.verifyKeyFile === undefined ? undefined : await readVerifyingKey(config.verifyKeyFile)
  const state = emptyState()
  const startedMs = clock()
  const streams = new EventStreams(() => `${startedMs}-${state.changes}`)
  metrics.streams.observe(() => [[{}, streams.size]])

  const follower = new TopicFollower({
    log: eventLog,
    topics: consoleTopics,
    logger,
    clock,
    onStatus: () => {
      state.changes += 1
      streams.changed()
    },
    onRecord: (record) => {
      const result = fold(state, record, clock())
      metrics.records.add({ topic: record.topic, result })
      if (result !== 'duplicate') streams.changed()
    },
  })
  health.ready('event log', () => {
    const away = follower.problems().filter(({ what, sinceMs }) => what === 'away' && clock() - sinceMs > AWAY_MS)
    return away.length === 0 ? undefined : `cannot read ${away.map(({ topic }) => topic).join(', ')}`
  })
  const sources = (): SourceStatus => ({
    problems: follower.problems(),
    malformed: [...state.malformed],
    leftOut: state.leftOut,
  })
  const site = new Site({ state, manifests: new Manifests(watch?.store, key), sources, clock })
  const server = new ConsoleServer({
    host: config.host,
    port: config.port,
    token: config.token?.reveal(),
    site,
    streams,
    logger,
    onAnswered: (status) => metrics.answers.add({ status: String(status) }),
  })
  const url = await server.listen()
  logger.info('console open', { url })
  const following = follower.run()
  return {
    stop: async () => {
      await server.close()
      await follower.close()
      await following
    },
  }
}
