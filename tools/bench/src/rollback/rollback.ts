/** How many requests a bad draft serves before it is off traffic, and how often a good one is taken for bad. */
import type { FeatureHead } from '@plateau/causal-lm'
import { Cluster, demoDomains, readPrompts, type PromptSet } from '@plateau/demo'
import type { EventLog } from '@plateau/event-log'
import { readDraftTarget } from '@plateau/model-files'
import { standardTrial } from '@plateau/rollout'
import { seededRandom } from '@plateau/speculation'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BenchError, progress, wholeNumber } from '../bench-error.js'
import { demoModel } from '../demo-model.js'
import { settled } from '../live-cluster.js'
import { DraftPublisher, readPublished, type PublishedDraft } from '../live/draft-publisher.js'
import { RolloutHistory, RolloutState } from '../live/rollout-history.js'
import { SteadyLoad } from '../live/steady-load.js'
import type { StreamedCompletion } from '../live/streamed-completion.js'
import { endTraining, train } from '../live/trained-draft.js'
import { headOf, noisyHead, randomHead, withHead } from './bad-drafts.js'
import { calibrate } from './calibrate.js'
import { outcomeFigures, type Outcome, type OutcomeFigures } from './outcome.js'
import { RecordedAlpha, recordedWindows } from './recorded-alpha.js'
import { copyFigures, printCopies, printKinds, printOutcome, printSimulated, type CopyFigures } from './report.js'
import { Rounds, turns, type CopyOutcome, type Turn } from './rounds.js'
import { madeUpQuestions, recordedQuestion, simulate, type SimulatedQuestion } from './simulated.js'

export const rollbackHelp = `npm run bench -- rollback [options]

Bad drafts against a good one, on the real services under load: where each is stopped, how many requests it served until
then, and how long it took. One cluster for all rounds, serving with its default settings; requests name no domain, so that
no other draft can be chosen for them.

  random    random weights
  degraded  the good draft with noise on its weights, so much that alpha falls by .125 on recorded windows
  shifted   trained on one domain only; good on that, so that it gets live; then the traffic turns to the other domain,
            which the draft before it knows. Requests count from the turn on
  aa        the very weights that are live, under new versions: false rejections and rollbacks, time to live and confirmed.
            Their alphas are equal at every position, so that only the comparison of acceptance can err; what the others
            do with drafts that are as good but not the same, the simulation says

At the end the roll-out's rules alone, simulated: on made-up responses, and on those of the evaluation arm that were recorded
until then, drawn with replacement; "alike" are two drafts with as much noise, other noise. A round takes some seconds (random),
up to a minute (degraded, shifted), or five and more (aa, and shifted with --turn confirmed: where clients are so many that no
proposal pays a version is confirmed after 500 requests): all of it many hours on two cores. --kinds runs parts of it.

  --kinds LIST         (default random,degraded,shifted,aa)
  --seeds N            rounds of each bad kind (default 20)
  --aa N               rounds of aa (default 100)
  --turn WHEN          the traffic of shifted turns when the version is live (default), or when it is confirmed
  --clients N          that stream at once (default 8)
  --train-seconds N    of traffic in each of the two domains (default 60)
  --patience-seconds N  a version that is not decided about by then is given up on (default 300)
  --simulated N        versions a line (default 1000)
  --quick              2 rounds of each: does it run, not how well
  --help               this text
`

const kindNames = ['random', 'degraded', 'shifted', 'aa'] as const
type Kind = (typeof kindNames)[number]

/** Alpha that noise takes from the good draft. */
const DEGRADED_BY = 0.125
const NOISE = { tolerance: 0.01, most: 2 }

interface RollbackOptions {
  readonly kinds: readonly Kind[]
  readonly seeds: number
  readonly aa: number
  readonly turn: Turn
  readonly clients: number
  readonly trainSeconds: number
  readonly patienceSeconds: number
  readonly simulated: number
}

export async function benchRollback(args: readonly string[]): Promise<object> {
  const options = parseOptions(args)
  const directory = await mkdtemp(join(tmpdir(), 'plateau-rollback-'))
  const env = { 'target-model': { PLATEAU_WEIGHTS: 'f32', PLATEAU_THREADS: '1' } }
  const cluster = await Cluster.start({ directory, model: demoModel, env })
  const log = await cluster.openEventLog()
  const history = new RolloutHistory(log)
  try {
    const drafts = await trainDrafts(cluster, history, options.trainSeconds)
    const target = await readDraftTarget(demoModel)
    const bad = await worseDrafts(new RecordedAlpha(target, await recordedWindows(log)), drafts)
    const found = await runRounds({ cluster, log, history }, drafts, bad, options)
    printKinds(found.rollback)
    if (found.copies !== undefined) printCopies(found.copies)
    const recorded = new RecordedAlpha(target, await recordedWindows(log))
    const questions = [
      ...madeUpQuestions([0, -DEGRADED_BY, -0.4], bad.onTheOther - bad.goodOnTheOther),
      ...(await recordedQuestions(recorded, drafts, bad.noiseShare)),
    ]
    progress(`simulating ${options.simulated} versions for each of ${questions.length} questions`)
    const simulated = questions.map((question) => simulate(question, options.simulated))
    printSimulated(simulated)
    const { noiseShare, goodAlpha, degradedAlpha, onTheOther, goodOnTheOther } = bad
    const alphas = { goodAlpha, degradedAlpha, shiftedOnTheOther: onTheOther, goodOnTheOther, noiseShare }
    return {
      rollback: found.rollback,
      ...found.copies,
      failedRequests: found.failedRequests,
      alphas,
      simulated,
      options,
    }
  } finally {
    await history.close()
    await log.close()
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

interface Drafts {
  readonly domains: readonly [PromptSet, PromptSet]
  /** Knows both domains. */
  readonly good: PublishedDraft
  /** Knows the first one only: an earlier version of the same lineage. */
  readonly narrow: PublishedDraft
}

async function trainDrafts(cluster: Cluster, history: RolloutHistory, seconds: number): Promise<Drafts> {
  const domains = demoDomains.map((domain) => readPrompts(demoModel, domain)) as [PromptSet, PromptSet]
  await train(cluster, [{ domains: [domains[0]], seconds }])
  const narrow = await readPublished(cluster, await settled({ cluster }))
  await train(cluster, [
    { domains: [domains[1]], seconds },
    { domains, seconds: seconds / 2 },
  ])
  const good = await endTraining(cluster, history)
  progress(`good is version ${good.manifest.version}, narrow version ${narrow.manifest.version}`)
  if (good.manifest.version === narrow.manifest.version) {
    throw new BenchError('no version that knows both domains went live: train for longer')
  }
  return { domains, good, narrow }
}

interface WorseDrafts {
  readonly random: (seed: number) => PublishedDraft
  readonly degraded: (seed: number) => PublishedDraft
  readonly noiseShare: number
  /** Alpha on recorded windows of both domains. */
  readonly goodAlpha: number
  readonly degradedAlpha: number
  /** Alpha of the narrow and of the good draft on the domain that the narrow one does not know. */
  readonly onTheOther: number
  readonly goodOnTheOther: number
}

async function worseDrafts(recorded: RecordedAlpha, { good, narrow, domains }: Drafts): Promise<WorseDrafts> {
  for (const { name } of domains)
    if (recorded.positions(name) === 0)
      throw new BenchError(`no window of the evaluation arm was recorded on ${name}: give more --train-seconds`)
  const [head, narrowHead] = [headOf(good), headOf(narrow)]
  const goodAlpha = await recorded.of(head)
  const noise = await calibrate((share) => recorded.of(noisyHead(head, share, seededRandom(1))), {
    wanted: goodAlpha - DEGRADED_BY,
    ...NOISE,
  })
  const on = async (domain: PromptSet) => {
    const [ours, theirs] = [await recorded.of(narrowHead, domain.name), await recorded.of(head, domain.name)]
    progress(`on ${domain.name}: narrow ${ours.toFixed(3)}, good ${theirs.toFixed(3)}`)
    return { ours, theirs }
  }
  await on(domains[0])
  const other = await on(domains[1])
  progress(
    `${recorded.positions()} recorded positions: good ${goodAlpha.toFixed(3)}, degraded ${noise.value.toFixed(3)} by noise of ${noise.at.toFixed(3)}`,
  )
  return {
    random: (seed) => withHead(good, randomHead(head, seededRandom(seed))),
    degraded: (seed) => withHead(good, noisyHead(head, noise.at, seededRandom(seed))),
    noiseShare: noise.at,
    goodAlpha,
    degradedAlpha: noise.value,
    onTheOther: other.ours,
    goodOnTheOther: other.theirs,
  }
}

interface Services {
  readonly cluster: Cluster
  readonly log: EventLog
  readonly history: RolloutHistory
}

interface Found {
  readonly rollback: Readonly<Record<string, OutcomeFigures & { readonly outcomes: readonly Outcome[] }>>
  readonly copies: CopyFigures | undefined
  readonly failedRequests: number
}

async function runRounds(
  { cluster, log, history }: Services,
  { domains, good, narrow }: Drafts,
  bad: WorseDrafts,
  options: RollbackOptions,
): Promise<Found> {
  const completions: StreamedCompletion[] = []
  const load = new SteadyLoad({
    url: cluster.httpUrl,
    clients: options.clients,
    maxTokens: 64,
    temperatures: [1, 0.7, 1, 0],
    labelled: false,
    onCompletion: (completion) => completions.push(completion),
  })
  const publisher = await DraftPublisher.open(cluster, log)
  const patienceMs = 1000 * options.patienceSeconds
  const rounds = new Rounds({ history, publisher, load, completions, good, patienceMs })
  const seeds = Array.from({ length: options.seeds }, (_, i) => i + 1)
  const rollback: Record<string, OutcomeFigures & { readonly outcomes: readonly Outcome[] }> = {}
  const each = async (kind: Kind, round: (seed: number) => Promise<Outcome | undefined>): Promise<void> => {
    if (!options.kinds.includes(kind)) return
    progress(`${kind}: ${seeds.length} rounds`)
    const outcomes: Outcome[] = []
    for (const seed of seeds) {
      const outcome = await round(seed)
      if (outcome === undefined) continue
      printOutcome(kind, outcome)
      outcomes.push(outcome)
    }
    rollback[kind] = { ...outcomeFigures(outcomes), outcomes }
  }
  load.switchTo(domains)
  load.start()
  try {
    await each('random', (seed) => rounds.bad(bad.random(seed)))
    await each('degraded', (seed) => rounds.bad(bad.degraded(seed)))
    await each('shifted', () => rounds.turned(narrow, options.turn, [domains[0]], [domains[1]]))
    load.switchTo(domains)
    const copies = options.kinds.includes('aa') ? await publishCopies(rounds, history, options.aa) : undefined
    return { rollback, copies, failedRequests: load.failures.length }
  } finally {
    await load.stop()
    await publisher.close()
  }
}

async function publishCopies(rounds: Rounds, history: RolloutHistory, count: number): Promise<CopyFigures> {
  progress(`aa: ${count} rounds`)
  const copies: CopyOutcome[] = []
  for (let i = 0; i < count; i++) {
    const copy = await rounds.copy()
    copies.push(copy)
    const { version, end, liveSeconds, confirmedSeconds, reason } = copy
    const times = `live after ${liveSeconds?.toFixed(1)} s, confirmed after ${confirmedSeconds?.toFixed(1)} s`
    progress(`  aa v${version}: ${end}, ${times}: ${reason.slice(0, 160)}`)
  }
  const isRolledBack = (version: number): boolean =>
    history.of(version).some(({ state }) => state === RolloutState.ROLLOUT_STATE_ROLLED_BACK)
  return copyFigures(copies, isRolledBack, standardTrial.errorRate)
}

/** What was published, on what was recorded by now; and two drafts that are as good as each other and not the same. */
async function recordedQuestions(
  recorded: RecordedAlpha,
  { good, narrow, domains }: Drafts,
  noiseShare: number,
): Promise<SimulatedQuestion[]> {
  const [head, narrowHead] = [headOf(good), headOf(narrow)]
  const noisy = (share: number, seed: number): FeatureHead => noisyHead(head, share, seededRandom(seed))
  const alike = await recorded.pairs(noisy(noiseShare / 2, 1001), noisy(noiseShare / 2, 1002))
  const [before, after] = [
    await recorded.pairs(narrowHead, head, domains[0].name),
    await recorded.pairs(narrowHead, head, domains[1].name),
  ]
  progress(`${recorded.positions()} recorded positions in ${alike.length} windows`)
  return [
    recordedQuestion('recorded, copy', await recorded.pairs(head, head)),
    recordedQuestion('recorded, alike', alike),
    recordedQuestion('recorded, degraded', await recorded.pairs(noisy(noiseShare, 1), head)),
    recordedQuestion('recorded, random', await recorded.pairs(randomHead(head, seededRandom(1)), head)),
    recordedQuestion('recorded, turning', before, after),
  ]
}

function parseOptions(args: readonly string[]): RollbackOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kinds: { type: 'string', default: kindNames.join(',') },
      seeds: { type: 'string' },
      aa: { type: 'string' },
      turn: { type: 'string', default: 'live' },
      clients: { type: 'string', default: '8' },
      'train-seconds': { type: 'string' },
      'patience-seconds': { type: 'string', default: '300' },
      simulated: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  })
  const { quick } = values
  const kinds = values.kinds.split(',').map((text) => {
    const kind = kindNames.find((name) => name === text)
    if (kind === undefined)
      throw new BenchError(`--kinds is some of ${kindNames.join(', ')}, not "${text}"`, { exitCode: 2 })
    return kind
  })
  const turn = turns.find((name) => name === values.turn)
  if (turn === undefined)
    throw new BenchError(`--turn is one of ${turns.join(', ')}, not "${values.turn}"`, { exitCode: 2 })
  return {
    kinds,
    turn,
    seeds: wholeNumber('seeds', values.seeds ?? (quick ? '2' : '20')),
    aa: wholeNumber('aa', values.aa ?? (quick ? '2' : '100')),
    clients: wholeNumber('clients', values.clients),
    trainSeconds: wholeNumber('train-seconds', values['train-seconds'] ?? (quick ? '40' : '60')),
    patienceSeconds: wholeNumber('patience-seconds', values['patience-seconds']),
    simulated: wholeNumber('simulated', values.simulated ?? (quick ? '50' : '1000')),
  }
}
