import { command } from '../command.js'
import { oneOf, required, text, value, wholeNumber, defaulted } from '../option.js'
import { UsageError } from '../usage-error.js'

const weightFormat = oneOf('f32', 'int8', 'int4')

export const selftest = command({
  name: 'selftest',
  summary: 'speculates with the target as its own draft: a running target-model must accept all of it',
  details: `
Loads --model as a draft with its whole vocabulary and answers prompts with it over a Speculate stream of the
target at --target: greedy, and drawn at temperatures .6 and 1, with and without penalties, a bias and top_p.
Draft and target are the same, so what is rejected shows a mistake between the two. Greedy answers are
compared with plain decoding, too.
The two compute in steps of different shapes, which round differently. With f32 weights that is the last
bits: all but 0.2 % must be accepted, and answers may part from plain decoding only where two logits are
within 1e-4. With int8 and int4 activations are rounded to 8 bits before every product: 10 % may be
rejected, and answers are compared but not judged. Needs the memory of the model once more.`,
  options: {
    target: value('HOST:PORT', "target-model's address; default: PLATEAU_TARGET_ADDRESS, else 127.0.0.1:7070", text),
    model: required('NAME|PATH', 'what that target serves: a name, a Hugging Face directory or a GGUF file', text),
    prompts: value('FILE', 'prompts as plateau train takes them; default: six short ones', text),
    weights: value(
      'FORMAT',
      'what the target multiplies by: f32, int8 or int4; default: PLATEAU_WEIGHTS, else int8',
      weightFormat,
    ),
    tokens: defaulted('N', 'longest response', wholeNumber(2), '32'),
    tolerance: value('SHARE', 'of proposals that may be rejected; default: by the format, as above', share),
  },
  run: async (context, { target, model, prompts, weights, tokens, tolerance }) => {
    // Imported late: help and mistakes need none of it.
    const { runSelftest } = await import('../selftest/run-selftest.js')
    const { environment } = context
    const format = weights ?? formatOf(environment['PLATEAU_WEIGHTS'])
    const address = target ?? environment['PLATEAU_TARGET_ADDRESS'] ?? '127.0.0.1:7070'
    return runSelftest(context, { address, model, prompts, weights: format, maxTokens: tokens, tolerance })
  },
})

function formatOf(setting = 'int8'): 'f32' | 'int8' | 'int4' {
  try {
    return weightFormat(setting)
  } catch {
    throw new UsageError(`PLATEAU_WEIGHTS=${setting} is no format: f32, int8 or int4`)
  }
}

function share(given: string): number {
  const number = Number(given)
  if (!(number >= 0 && number < 1)) throw new TypeError('a number from 0 up to 1')
  return number
}
