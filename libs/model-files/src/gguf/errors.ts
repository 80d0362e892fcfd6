import { type ErrorFacts, PlateauError } from '@plateau/contracts'

/** A file that breaks the format's rules; `offset` is the byte where that shows. */
export function invalidGguf(file: string, problem: string, facts: ErrorFacts = {}): PlateauError {
  return new PlateauError('MODEL_FILE_INVALID', `${file} is not a valid GGUF file: ${problem}`, {
    facts: { file, ...facts },
  })
}

export function truncatedGguf(file: string, what: string, expectedBytes: number, foundBytes: number): PlateauError {
  return new PlateauError(
    'MODEL_FILE_TRUNCATED',
    `${file} is cut short: ${what} ends at byte ${expectedBytes} and the file at ${foundBytes}; copy it again`,
    { facts: { file, expectedBytes, foundBytes } },
  )
}

/** A sound file of something that is not built; one line that names it. */
export function unsupportedGguf(file: string, problem: string, facts: ErrorFacts = {}): PlateauError {
  return new PlateauError('MODEL_UNSUPPORTED', `cannot use ${file}: ${problem}`, { facts: { file, ...facts } })
}
