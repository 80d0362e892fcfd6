import { UsageError } from './usage-error.js'

/** One `--option` of a command: how it reads in help, and how its text becomes a value. */
export interface Option<T> {
  readonly help: string
  /** What stands for the value in help, "N" or "DIR"; undefined: the option takes none. */
  readonly placeholder: string | undefined
  readonly defaultText: string | undefined
  readonly required: boolean
  /** `given` is what stood on the command line, undefined when the option did not. Throws UsageError. */
  read(given: string | boolean | undefined, name: string): T
}

export type Options = Readonly<Record<string, Option<unknown>>>
export type OptionValues<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never }

export function flag(help: string): Option<boolean> {
  return { help, placeholder: undefined, defaultText: undefined, required: false, read: (given) => given === true }
}

/** An option with a value, which may be left out. `parse` throws with what is allowed. */
export function value<T>(placeholder: string, help: string, parse: (text: string) => T): Option<T | undefined> {
  return { ...base(placeholder, help), read: (given, name) => readText(parse, given, name) }
}

/** An option with a value and a default, given as the command line would spell it. */
export function defaulted<T>(
  placeholder: string,
  help: string,
  parse: (text: string) => T,
  defaultText: string,
): Option<T> {
  return {
    ...base(placeholder, help),
    defaultText,
    read: (given, name) => readText(parse, given ?? defaultText, name) as T,
  }
}

export function required<T>(placeholder: string, help: string, parse: (text: string) => T): Option<T> {
  return {
    ...base(placeholder, help),
    required: true,
    read: (given, name) => {
      if (given === undefined) throw new UsageError(`--${name} ${placeholder} is missing`)
      return readText(parse, given, name) as T
    },
  }
}

export const text = (given: string): string => {
  if (given === '') throw new TypeError('a text that is not empty')
  return given
}

export function wholeNumber(least: number): (given: string) => number {
  return (given) => {
    const number = Number(given)
    if (!/^\d{1,15}$/.test(given) || number < least) throw new TypeError(`a whole number, at least ${least}`)
    return number
  }
}

export function oneOf<const T extends string>(...choices: readonly T[]): (given: string) => T {
  return (given) => {
    const found = choices.find((choice) => choice === given)
    if (found === undefined) throw new TypeError(`one of ${choices.join(', ')}`)
    return found
  }
}

function base(placeholder: string, help: string) {
  return { help, placeholder, defaultText: undefined, required: false }
}

function readText<T>(parse: (text: string) => T, given: string | boolean | undefined, name: string): T | undefined {
  if (given === undefined) return undefined
  try {
    return parse(String(given))
  } catch (error) {
    const allowed = error instanceof Error ? error.message : String(error)
    throw new UsageError(`--${name} ${JSON.stringify(given)} is not allowed; allowed: ${allowed}`)
  }
}
