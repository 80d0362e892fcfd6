/** What clients of the HTTP API get, one and many at once, without and with speculation, and when there are too many. */
import { Cluster, resolveTarget, type DemoTarget } from '@plateau/demo'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { BenchError, progress, wholeNumber } from '../bench-error.js'
import { RolloutHistory } from '../live/rollout-history.js'
import { endTraining, train } from '../live/trained-draft.js'
import { LlamaCppEngine } from '../llama-cpp/engine.js'
import { ggufOf, openRealModel, type RealModel } from '../real-model.js'
import { llamaCpp, served, type Contestant } from './contestants.js'
import { crowd, crowdFigures, type CrowdFigures } from './overload.js'
import { numberedChats, numberedPrompts, Questions } from './questions.js'
import { printLevels, printOverload, type LevelRow } from './report.js'
import { overRounds, serveFigures, takeTurn, type Turn } from './turn.js'

export const serveHelp = `npm run bench -- serve [options]
       npm run bench -- serve --target smollm2 [options]

Requests and tokens a second, time to the first token and between tokens as streaming clients see them, at several numbers
of clients: plain and speculative over HTTP in turn in every round, on the same questions of both domains, greedy and
sampled; a number before each question makes it one whose prompt was not computed before. The draft is what
--train-seconds of the loop's traffic make, or the one that is shipped for the target; the trainer has ended when this
begins. With --target beside llama.cpp: as many sequences at once inside this process, which spares it HTTP, text and
everything else that a server does. Nothing is captured, and the target decodes up to 16 answers at once
(PLATEAU_MAX_SEQUENCES). Some 20 minutes. Clients come one after the other in the first fifth of a turn, which does not count.
The interval of "over plain" is by rounds.

Then too many: 64 clients for 16 places and a queue of 16, which come back when they are told to, and what is done
meanwhile beside what 16 clients get.

  --target NAME|PATH   a real target (fetched when it is known and missing)
  --levels LIST        clients at once (default 1,4,16)
  --temperatures LIST  (default 0,0.7)
  --seconds N          of a turn (default 15; many clients of a real target need a minute, for answers to end within)
  --rounds N           turns of each (default 5)
  --warm-up SECONDS    of speculative turns before those: serving learns what pays at this load (default 60)
  --tokens N           of an answer, at most (default 64)
  --train-seconds N    without --target (default 120)
  --threads N          of the target, and of llama.cpp (default 1; with --target all cores)
  --without-llama-cpp  ours alone
  --quick              one round, few levels: does it run, not how fast
  --help               this text
`

/** As many as the target decodes at once, by default fewer. */
const SEQUENCES = { PLATEAU_MAX_SEQUENCES: '16' }
const PLACES = { PLATEAU_MAX_CONCURRENT: '16', PLATEAU_MAX_WAITING: '16' }
/** Questions for a turn. */
const MOST_ANSWERS = 2048
const CROWD = { few: 16, many: 64 }

interface ServeOptions {
  readonly target: string
  readonly levels: readonly number[]
  readonly temperatures: readonly number[]
  readonly rounds: number
  readonly warmUpSeconds: number
  readonly seconds: number
  readonly maxTokens: number
  readonly trainSeconds: number
  readonly crowdSeconds: number
  readonly threads: number
  readonly llamaCpp: boolean
}

export async function benchServe(args: readonly string[]): Promise<object> {
  const options = parseOptions(args)
  const on = await resolveTarget(options.target, { signal: new AbortController().signal, say: progress })
  const directory = await mkdtemp(join(tmpdir(), 'plateau-serve-'))
  const cluster = await Cluster.start({
    directory,
    model: resolve(on.path),
    env: {
      ...on.env,
      'target-model': { ...on.env['target-model'], ...SEQUENCES, PLATEAU_THREADS: String(options.threads) },
      serving: PLACES,
    },
  })
  try {
    const version = await prepareDraft(cluster, on, options)
    const model = on.isReal ? await openRealModel({ model: on.path }) : undefined
    const questions = new Questions(model === undefined ? on.domains.map(numberedPrompts) : numberedChats(model))
    const other = model !== undefined && options.llamaCpp ? await openLlamaCpp(model, questions, options) : undefined
    try {
      const ours = [served(cluster.httpUrl, false), served(cluster.httpUrl, true)]
      const rows = await measureLevels(
        [...ours, ...(other === undefined ? [] : [other.contestant])],
        questions,
        options,
      )
      printLevels(rows)
      const overload = await measureOverload(served(cluster.httpUrl, true), questions, options)
      printOverload(overload)
      return { ...ratios(rows), rows, overload, version, options, serving: PLACES, targetModel: SEQUENCES }
    } finally {
      await other?.engine.close()
    }
  } finally {
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

async function prepareDraft(cluster: Cluster, on: DemoTarget, { trainSeconds }: ServeOptions): Promise<number> {
  const log = await cluster.openEventLog()
  const history = new RolloutHistory(log)
  try {
    const isShipped = on.warmStart !== undefined
    await train(cluster, isShipped ? [] : [{ domains: on.domains, seconds: trainSeconds }])
    return (await endTraining(cluster, history)).manifest.version
  } finally {
    await history.close()
    await log.close()
  }
}

async function openLlamaCpp(model: RealModel, questions: Questions, { threads, maxTokens }: ServeOptions) {
  const engine = await LlamaCppEngine.open(ggufOf(model), threads)
  const lengths = questions.all().map((prompt) => model.tokenizer.encode(prompt).length)
  const contextTokens = Math.max(...lengths) + maxTokens + 16
  return { engine, contestant: llamaCpp(engine, model.tokenizer, contextTokens) }
}

async function measureLevels(
  contestants: readonly Contestant[],
  questions: Questions,
  { levels, temperatures, rounds, warmUpSeconds, seconds, maxTokens }: ServeOptions,
): Promise<LevelRow[]> {
  const rows: LevelRow[] = []
  for (const clients of levels) {
    for (const temperature of temperatures) {
      progress(`${clients} clients at temperature ${temperature}`)
      const asked = { count: MOST_ANSWERS, temperature, maxTokens }
      const turns = new Map(contestants.map(({ name }): [string, Turn[]] => [name, []]))
      const answer = async (contestant: Contestant): Promise<Turn> => {
        const answering = await contestant.open(clients)
        const turn = await takeTurn(answering, questions.next(asked), { clients, seconds })
        await answering.close()
        return turn
      }
      const warm = performance.now() + warmUpSeconds * 1000
      while (performance.now() < warm) await answer(contestants.find(({ name }) => name === 'speculative')!)
      for (let round = 0; round < rounds; round++) {
        for (const [i] of contestants.entries()) {
          const contestant = contestants[(round + i) % contestants.length]!
          turns.get(contestant.name)!.push(await answer(contestant))
        }
      }
      const figures = Object.fromEntries([...turns].map(([name, taken]) => [name, serveFigures(taken)]))
      const plain = turns.get('plain')!
      const overPlain = Object.fromEntries([...turns].map(([name, taken]) => [name, overRounds(taken, plain)]))
      rows.push({ clients, temperature, figures, overPlain })
    }
  }
  return rows
}

async function measureOverload(
  contestant: Contestant,
  questions: Questions,
  { crowdSeconds, maxTokens }: ServeOptions,
): Promise<{ readonly few: CrowdFigures; readonly many: CrowdFigures; readonly goodputKept: number }> {
  progress(`${CROWD.few} and ${CROWD.many} clients for ${PLACES.PLATEAU_MAX_CONCURRENT} places`)
  const asked = { count: MOST_ANSWERS, temperature: 0.7, maxTokens }
  const measure = async (clients: number): Promise<CrowdFigures> => {
    const answering = await contestant.open(clients)
    return crowdFigures(await crowd(answering, { clients, seconds: crowdSeconds, questions: questions.next(asked) }))
  }
  const few = await measure(CROWD.few)
  const many = await measure(CROWD.many)
  return { few, many, goodputKept: many.tokensPerSecond / few.tokensPerSecond }
}

/** Speculative tokens a second over those of the others, by clients and temperature. */
function ratios(rows: readonly LevelRow[]) {
  const over = (other: (row: LevelRow) => unknown) =>
    Object.fromEntries(rows.map((row) => [`${row.clients} at ${row.temperature}`, other(row)]))
  const rate = ({ figures }: LevelRow, name: string): number | undefined => figures[name]?.tokensPerSecond
  const hasOther = rows.some((row) => rate(row, 'llama.cpp') !== undefined)
  return {
    overPlain: over(({ overPlain }) => overPlain['speculative']),
    ...(hasOther ? { overLlamaCpp: over((row) => rate(row, 'speculative')! / rate(row, 'llama.cpp')!) } : {}),
  }
}

function parseOptions(args: readonly string[]): ServeOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string' },
      levels: { type: 'string' },
      temperatures: { type: 'string', default: '0,0.7' },
      rounds: { type: 'string' },
      'warm-up': { type: 'string' },
      seconds: { type: 'string' },
      tokens: { type: 'string' },
      'train-seconds': { type: 'string' },
      threads: { type: 'string' },
      'without-llama-cpp': { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
    },
  })
  const { quick } = values
  const list = (text: string): string[] => text.split(',')
  const threads = values.threads ?? String(values.target === undefined ? 1 : availableParallelism())
  return {
    target: values.target ?? 'demo-target',
    levels: list(values.levels ?? (quick ? '1,4' : '1,4,16')).map((text) => wholeNumber('levels', text)),
    temperatures: list(values.temperatures).map(temperature),
    rounds: wholeNumber('rounds', values.rounds ?? (quick ? '1' : '5')),
    warmUpSeconds: wholeNumber('warm-up', values['warm-up'] ?? (quick ? '0' : '60'), 0),
    seconds: wholeNumber('seconds', values.seconds ?? (quick ? '5' : '15')),
    maxTokens: wholeNumber('tokens', values.tokens ?? (quick ? '32' : '64')),
    trainSeconds: wholeNumber('train-seconds', values['train-seconds'] ?? (quick ? '20' : '120')),
    crowdSeconds: quick ? 6 : 20,
    threads: wholeNumber('threads', threads),
    llamaCpp: !values['without-llama-cpp'],
  }
}

function temperature(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 2) return value
  throw new BenchError(`--temperatures are numbers from 0 to 2, not "${text}"`, { exitCode: 2 })
}
