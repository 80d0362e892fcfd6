import { badRequest } from '../request-errors.js'

type Json = Readonly<Record<string, unknown>>

/** Of names that clients choose: models, tenants, domains, roles. */
export const MAX_NAME_LENGTH = 256

/** Reads one JSON object field by field; every complaint names the field. Fields that nobody asked for are refused. */
export class FieldReader {
  readonly #object: Json
  readonly #path: string
  readonly #seen = new Set<string>()

  constructor(value: unknown, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw badRequest(path || 'body', `${path || 'the request body'} must be a JSON object`)
    }
    this.#object = value as Json
    this.#path = path
  }

  /** The field's value; null counts as absent, as in OpenAI's API. */
  take(name: string): unknown {
    this.#seen.add(name)
    return this.#object[name] ?? undefined
  }

  number(
    name: string,
    bounds: { readonly min: number; readonly max: number; readonly whole?: boolean },
  ): number | undefined {
    const value = this.take(name)
    if (value === undefined) return undefined
    const { min, max, whole = false } = bounds
    if (typeof value !== 'number' || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
      throw this.#wrong(name, `must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}`, value)
    }
    return value
  }

  flag(name: string): boolean | undefined {
    const value = this.take(name)
    if (value !== undefined && typeof value !== 'boolean') throw this.#wrong(name, 'must be true or false', value)
    return value
  }

  text(name: string, maxLength: number): string | undefined {
    const value = this.take(name)
    if (value === undefined) return undefined
    if (typeof value !== 'string') throw this.#wrong(name, 'must be a string', value)
    if (value.length > maxLength)
      throw badRequest(this.name(name), `${this.name(name)} is longer than ${maxLength} characters`)
    return value
  }

  object(name: string): FieldReader | undefined {
    const value = this.take(name)
    return value === undefined ? undefined : new FieldReader(value, this.name(name))
  }

  /** For what is not supported: only absent values and those listed pass. */
  only(name: string, allowed: readonly unknown[], why: string): void {
    const value = this.take(name)
    if (value === undefined || allowed.includes(value)) return
    throw badRequest(this.name(name), `${this.name(name)} is not supported here: ${why}`)
  }

  /** Fields that are accepted and have no effect. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#seen.add(name)
  }

  done(): void {
    const unknown = Object.keys(this.#object).find((name) => !this.#seen.has(name))
    if (unknown !== undefined) throw badRequest(this.name(unknown), `unknown field ${this.name(unknown)}`)
  }

  name(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }

  #wrong(name: string, rule: string, value: unknown): Error {
    const shown = typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value
    return badRequest(this.name(name), `${this.name(name)} ${rule}, not ${shown}`)
  }
}
