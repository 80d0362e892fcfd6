import { z } from 'zod'

/** One setting: the environment variable that holds it, what it is for, and how its text becomes a value. */
export interface Field<T> {
  readonly env: string
  /** One line for `--help`. */
  readonly help: string
  /** What is allowed, as a person would say it: "a whole number from 0 to 65535". */
  readonly allowed: string
  /** The default as the environment would spell it; undefined: the field is required, or may be left out. */
  readonly defaultText: string | undefined
  readonly required: boolean
  /** Never printed; may also be given as a file named by `<env>_FILE`. */
  readonly secret: boolean
  readonly schema: z.ZodType<T, string>
}

export interface FieldOptions {
  readonly env: string
  readonly help: string
  /** As the environment would spell it. Without one the field is required (see `optional`). */
  readonly default?: string | number
}

export function field<T>(
  options: FieldOptions,
  allowed: string,
  schema: z.ZodType<T, string>,
  secret = false,
): Field<T> {
  return {
    env: options.env,
    help: options.help,
    allowed,
    defaultText: options.default === undefined ? undefined : String(options.default),
    required: options.default === undefined,
    secret,
    schema,
  }
}

/** The same field, which may be left out: its value is then undefined. */
export function optional<T>(base: Field<T>): Field<T | undefined> {
  return { ...base, required: false }
}

/** Runs `check` on the text and makes a zod schema of it: what it throws is the problem's sentence. */
export function parsed<T>(check: (text: string) => T): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    try {
      return check(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
      return z.NEVER
    }
  })
}
