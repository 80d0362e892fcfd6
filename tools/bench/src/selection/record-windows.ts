import { Recording, sampleName, type WindowStore } from '@plateau/cli'
import { seededRandom } from '@plateau/speculation'
import type { Portion, Prompt, SelectionTarget } from './selection-targets.js'

export interface RecordOptions {
  /** For the services' event log and their own logs. */
  readonly directory: string
  readonly threads: number
  readonly now: () => number
  readonly say: (line: string) => void
}

/** Longest answer, and one window: a window is a whole response. */
const ANSWER_TOKENS = 128
/** Answers decoded at once. */
const SEQUENCES = 8
const SEED = 6
const SAY_EVERY_MS = 10_000

interface Progress {
  readonly portion: Portion
  readonly questions: Iterator<Question>
  positions: number
}

interface Question {
  readonly prompt: Prompt
  readonly sampleId: string
  readonly temperature: number
  readonly seed: number
}

/**
 * Has the real target-model and scorer answer until every portion of the target has its positions, all portions side by
 * side so that the stream is mixed. What the store holds is not asked again: a run that was killed goes on.
 */
export async function recordWindows(
  target: SelectionTarget,
  store: WindowStore,
  options: RecordOptions,
): Promise<void> {
  const portions = await progressOf(target, store)
  if (portions.every(isDone)) return
  options.say(`recording ${target.name}: starting the target`)
  const { directory, threads } = options
  const recording = await Recording.start({ model: target.path, directory, sequences: SEQUENCES, threads }, store)
  try {
    const asked = await answer(portions, store, recording, options)
    const shed = await recording.drained(asked, options.now)
    if (shed > 0) options.say(`${shed} answers are not complete: the target shed some of their windows`)
  } finally {
    await recording.stop()
    await store.flush()
  }
}

async function answer(
  portions: readonly Progress[],
  store: WindowStore,
  { target }: Recording,
  { now, say }: RecordOptions,
): Promise<ReadonlySet<string>> {
  const asked = new Set<string>()
  const started = now()
  let saidMs = started
  const client = async (): Promise<void> => {
    for (let next = leastDone(portions); next !== undefined; next = leastDone(portions)) {
      const { prompt, sampleId, temperature, seed } = next.questions.next().value as Question
      if (store.samples.has(sampleId)) continue
      // Expected first, so that the others ask for what is missing then; put right when it is there.
      next.positions += ANSWER_TOKENS
      const { domain } = next.portion
      const options = { maxTokens: ANSWER_TOKENS, temperature, seed, sampleId, domain, untilEnd: true }
      const tokens = await target.generate(prompt.tokens, options)
      asked.add(sampleId)
      next.positions += tokens - ANSWER_TOKENS
      if (now() - saidMs < SAY_EVERY_MS) continue
      saidMs = now()
      const done = portions.reduce((sum, { positions }) => sum + positions, 0)
      const all = portions.reduce((sum, { portion }) => sum + portion.positions, 0)
      say(`  ${done} of ${all} positions, ${((saidMs - started) / 1000).toFixed(0)} s`)
    }
  }
  await Promise.all(Array.from({ length: SEQUENCES }, client))
  return asked
}

async function progressOf(target: SelectionTarget, store: WindowStore): Promise<Progress[]> {
  const portions = target.portions.map((portion) => ({
    portion,
    questions: questionsOf(portion, target),
    positions: 0,
  }))
  for await (const { window } of store.read()) {
    const found = portions.find(({ portion }) => window!.sampleId.startsWith(sampleStart(portion)))
    if (found !== undefined) found.positions += window!.tokenIds.length
  }
  return portions
}

/** Which portion a response is of, as its sample's name begins. */
export function sampleStart({ role, domain }: Pick<Portion, 'role' | 'domain'>): string {
  return `${role}:${domain}/`
}

function isDone({ portion, positions }: Progress): boolean {
  return positions >= portion.positions
}

function leastDone(portions: readonly Progress[]): Progress | undefined {
  const share = ({ portion, positions }: Progress): number => positions / portion.positions
  return portions.filter((one) => !isDone(one)).toSorted((a, b) => share(a) - share(b))[0]
}

/** Endless: the portion's prompts in an order of their own for every pass, each pass with other draws. */
function* questionsOf({ role, prompts }: Portion, { temperatures }: SelectionTarget): Generator<Question> {
  for (let pass = 0; ; pass++) {
    const random = seededRandom(SEED + pass)
    const order = prompts.map((prompt) => ({ prompt, at: random() })).toSorted((a, b) => a.at - b.at)
    for (const [i, { prompt }] of order.entries()) {
      const temperature = temperatures[i % temperatures.length]!
      yield {
        prompt,
        sampleId: sampleName(`${role}:${prompt.id}`, pass, temperature),
        temperature,
        seed: SEED + pass * prompts.length + i,
      }
    }
  }
}
