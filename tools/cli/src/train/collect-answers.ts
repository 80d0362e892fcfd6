import { PlateauError } from '@plateau/contracts'
import { renderChat } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import type { ModelDescription } from '@plateau/model-files'
import type { TrainingPrompt } from './prompt-file.js'
import { Recording, type RecordingOptions } from './recording.js'
import { EVALUATION_PREFIX } from './split.js'
import { sampleName } from './training-data.js'
import type { WindowStore } from './window-store.js'

export interface AnswerOptions extends RecordingOptions {
  readonly description: ModelDescription
  /** Enough: asking stops when the store holds so many. */
  readonly positions: number
  /** One after the other for the prompts as they come. 0 = greedy. */
  readonly temperatures: readonly number[]
  /** Longest answer. */
  readonly answerTokens: number
  readonly seed: number
  readonly now: () => number
  readonly signal: AbortSignal
  say(line: string): void
  progress(positions: number): void
}

interface Asked {
  readonly prompt: TrainingPrompt
  readonly sampleId: string
  readonly temperature: number
  readonly seed: number
}

const MOST_FAILURES = 20

/**
 * Has the target answer prompts until the store holds enough windows. What the store holds already is not asked again, so
 * a run that was killed goes on. When every prompt has been answered they are asked again with other draws.
 */
export async function collectAnswers(
  prompts: readonly TrainingPrompt[],
  store: WindowStore,
  options: AnswerOptions,
): Promise<void> {
  if (store.totalPositions >= options.positions) return
  options.say('starting the target to answer prompts')
  const recording = await Recording.start(options, store)
  try {
    const asked = new Set<string>()
    const requests = questions(prompts, options)
    const isEnough = () => store.totalPositions >= options.positions || options.signal.aborted
    let failures = 0
    const client = async (): Promise<void> => {
      for (const { prompt, sampleId, temperature, seed } of requests) {
        if (isEnough()) return
        if (store.samples.has(sampleId)) continue
        try {
          await recording.target.generate(encoded(prompt.text, recording, options.description), {
            maxTokens: options.answerTokens,
            temperature,
            seed,
            sampleId,
            domain: prompt.domain,
            untilEnd: true,
          })
          asked.add(sampleId)
        } catch (cause) {
          options.say(`no answer to ${prompt.id}: ${String(cause)}`)
          if (++failures >= MOST_FAILURES) throw tooManyFailures(cause)
        }
        options.progress(store.totalPositions)
      }
    }
    await Promise.all(Array.from({ length: options.sequences }, client))
    const shed = await recording.drained(asked, options.now)
    if (shed > 0) options.say(`${shed} answers are not complete: the target shed some of their windows`)
  } finally {
    await recording.stop()
    await store.flush()
  }
}

/** Endless. All prompts in an order of their own for every pass. */
function* questions(prompts: readonly TrainingPrompt[], options: AnswerOptions): Generator<Asked> {
  const { temperatures } = options
  for (let pass = 0; ; pass++) {
    const random = seededRandom(options.seed + pass)
    const order = prompts.map((prompt) => ({ prompt, at: random() })).toSorted((a, b) => a.at - b.at)
    for (const [i, { prompt }] of order.entries()) {
      const temperature = temperatures[i % temperatures.length]!
      const prefix = prompt.split === 'evaluation' ? EVALUATION_PREFIX : ''
      yield {
        prompt,
        sampleId: sampleName(prefix + prompt.id, pass, temperature),
        temperature,
        seed: options.seed + pass * prompts.length + i,
      }
    }
  }
}

function encoded(text: string, { target }: Recording, { chatTemplate }: ModelDescription): number[] {
  const prompt = renderChat([{ role: 'user', content: text }], chatTemplate, target.tokenizer.specialTokens)
  // A template writes the first token itself, where the model wants one.
  return target.tokenizer.encode(prompt, { addSpecialTokens: chatTemplate === undefined })
}

function tooManyFailures(cause: unknown): PlateauError {
  return new PlateauError('TARGET_FAILED', `the target failed to answer ${MOST_FAILURES} prompts: ${String(cause)}`, {
    cause,
  })
}
