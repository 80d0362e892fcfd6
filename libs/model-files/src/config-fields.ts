import { PlateauError } from '@plateau/contracts'
import type { JsonObject } from './json-object.js'

/** Reads fields one by one and keeps every problem, so that all of them can be told at once. */
export class ConfigFields {
  constructor(
    private readonly fields: JsonObject,
    /** How the fields are called in messages: "rope_scaling." for those of that object. */
    private readonly prefix = '',
    private readonly problems: { readonly text: string; readonly unsupported: boolean }[] = [],
  ) {}

  get(name: string): unknown {
    return this.fields[name]
  }

  problem(text: string): void {
    this.problems.push({ text, unsupported: false })
  }

  unsupported(text: string): void {
    this.problems.push({ text, unsupported: true })
  }

  /** Reads an object inside; its problems are told with this one's. */
  nested(name: string, fields: JsonObject): ConfigFields {
    return new ConfigFields(fields, `${this.prefix}${name}.`, this.problems)
  }

  size(name: string, otherwise?: number, most = 2 ** 31): number {
    const value = this.fields[name] ?? otherwise
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value <= most) return value
    if (value === undefined) this.problem(`${this.prefix}${name} is missing`)
    else this.problem(`${this.prefix}${name} must be a positive integer up to ${most}, not ${show(value)}`)
    return 1
  }

  positive(name: string, otherwise?: number): number {
    const value = this.fields[name] ?? otherwise
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
    this.problem(`${this.prefix}${name} must be a positive number, not ${show(value)}`)
    return 1
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.fields[name] ?? otherwise
    if (typeof value === 'boolean') return value
    this.problem(`${this.prefix}${name} must be true or false, not ${show(value)}`)
    return otherwise
  }

  tokenIds(name: string): readonly number[] {
    const value = this.fields[name] ?? []
    const ids: unknown[] = Array.isArray(value) ? value : [value]
    if (ids.every((id): id is number => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0)) return ids
    this.problem(`${this.prefix}${name} must be a token id or a list of them, not ${show(value)}`)
    return []
  }

  /** What is not built must have its usual value, or be left out. */
  requireDefault(name: string, supported: unknown): void {
    const found = this.fields[name] ?? supported
    if (found !== supported) {
      this.unsupported(`${this.prefix}${name} ${show(found)} is not supported, only ${show(supported)}`)
    }
  }

  throwProblems(file: string): void {
    if (this.problems.length === 0) return
    const malformed = this.problems.some(({ unsupported }) => !unsupported)
    throw new PlateauError(
      malformed ? 'MODEL_CONFIG_INVALID' : 'MODEL_UNSUPPORTED',
      `cannot use ${file}: ${this.problems.map(({ text }) => text).join('; ')}`,
      { facts: { file, problems: this.problems.length } },
    )
  }
}

export function show(value: unknown): string {
  const json = JSON.stringify(value) ?? 'nothing'
  return json.length > 80 ? `${json.slice(0, 80)}...` : json
}
