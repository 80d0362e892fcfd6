/** What stands in the way is said in one line, without a stack: the caller can do something about it. */
export class BenchError extends Error {
  override readonly name = 'BenchError'
  /** 2: wrong arguments; 1: something that the benchmark needs is not there. */
  readonly exitCode: number

  constructor(sentence: string, options: { readonly exitCode?: 1 | 2; readonly cause?: unknown } = {}) {
    super(sentence, { cause: options.cause })
    this.exitCode = options.exitCode ?? 1
  }
}

/** A whole number from `least` on, from the command line. */
export function wholeNumber(name: string, text: string, least = 1): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new BenchError(`--${name} must be a whole number from ${least} on, not "${text}"`, { exitCode: 2 })
}

/** For people who wait; tables and JSON go to standard output. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}
