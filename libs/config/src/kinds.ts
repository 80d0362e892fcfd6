import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { field, parsed, type Field, type FieldOptions } from './field.js'
import { Secret } from './secret.js'

export interface Bounds {
  readonly min?: number
  readonly max?: number
}

export function text(options: FieldOptions): Field<string> {
  return field(options, 'text', z.string())
}

export function integer(options: FieldOptions & Bounds): Field<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options
  const allowed =
    max === Number.MAX_SAFE_INTEGER ? `a whole number, at least ${min}` : `a whole number from ${min} to ${max}`
  return field(options, allowed, digits(allowed).pipe(z.number().int(allowed).min(min, allowed).max(max, allowed)))
}

export function decimal(options: FieldOptions & Bounds): Field<number> {
  const { min = -Infinity, max = Infinity } = options
  const allowed = `a number${bounds(min, max)}`
  const numeric = z
    .string()
    .regex(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, allowed)
    .transform(Number)
  return field(options, allowed, numeric.pipe(z.number(allowed).min(min, allowed).max(max, allowed)))
}

/** A share, 0 to 1. */
export function share(options: FieldOptions): Field<number> {
  return decimal({ ...options, min: 0, max: 1 })
}

/** A TCP port; 0 = any free one. */
export function port(options: FieldOptions): Field<number> {
  const allowed = 'a port from 1 to 65535, or 0 for any free one'
  return field(options, allowed, digits(allowed).pipe(z.number().min(0, allowed).max(65_535, allowed)))
}

/** A duration given in seconds; the value is in milliseconds. */
export function seconds(options: FieldOptions & Bounds): Field<number> {
  const inSeconds = decimal({ ...options, min: options.min ?? 0 })
  return {
    ...inSeconds,
    allowed: inSeconds.allowed.replace('number', 'number of seconds'),
    schema: inSeconds.schema.transform((value) => value * 1000),
  }
}

/** A number of bytes: "1048576", "512KiB", "8MiB", "1GiB". */
export function bytes(options: FieldOptions & Bounds): Field<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options
  const allowed = 'a size in bytes such as 1048576, 512KiB, 8MiB or 1GiB' + bounds(min, max)
  const units: Record<string, number> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
  return field(
    options,
    allowed,
    parsed((value) => {
      const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|)$/.exec(value)
      const size = match ? Math.round(Number(match[1]) * units[match[2]!]!) : Number.NaN
      if (!(size >= min && size <= max)) throw new TypeError(allowed)
      return size
    }),
  )
}

export function choice<const T extends string>(options: FieldOptions & { readonly of: readonly T[] }): Field<T> {
  const allowed = `one of ${options.of.join(', ')}`
  return field(
    options,
    allowed,
    z.string().pipe(z.enum(options.of as readonly [T, ...T[]], allowed)) as z.ZodType<T, string>,
  )
}

/** Values of one kind, separated by commas: "0,1". */
export function list<T>(item: Field<T>): Field<readonly T[]> {
  const values = z.string().transform((text, context) =>
    text.split(',').map((part) => {
      const value = item.schema.safeParse(part.trim())
      if (value.success) return value.data
      context.addIssue({ code: 'custom', message: `${item.allowed}; ${JSON.stringify(part.trim())} is none` })
      return z.NEVER
    }),
  )
  return { ...item, allowed: `${item.allowed}, or several with commas between them`, schema: values }
}

/** on or off. */
export function flag(options: FieldOptions): Field<boolean> {
  const base = choice({ ...options, of: ['on', 'off'] })
  return { ...base, schema: base.schema.transform((value) => value === 'on') }
}

/** "host:port"; port 0 = any free one. */
export function address(options: FieldOptions): Field<string> {
  const allowed = 'host:port, for example 127.0.0.1:7070'
  const valid = (value: string): boolean => {
    const match = /^(\[[0-9a-fA-F:]+\]|[^\s:/]+):(\d{1,5})$/.exec(value)
    return match !== null && Number(match[2]) <= 65_535
  }
  return field(options, allowed, z.string().refine(valid, allowed))
}

/** An http or https URL, as it was written. */
export function httpUrl(options: FieldOptions): Field<string> {
  const allowed = 'an http or https URL, for example http://localhost:4318'
  const valid = (value: string): boolean => /^https?:\/\/./.test(value) && URL.canParse(value)
  return field(options, allowed, z.string().refine(valid, allowed))
}

/** A directory, created by whoever uses it. The value is absolute. */
export function directory(options: FieldOptions): Field<string> {
  return field(
    options,
    'a directory (created when missing)',
    parsed((path) => {
      const kind = kindOf(path)
      if (kind !== 'directory' && kind !== 'missing') throw new TypeError('a directory; this is a file')
      return resolve(path)
    }),
  )
}

/** A directory that must be there when the service starts. The value is absolute. */
export function existingDirectory(options: FieldOptions): Field<string> {
  return existing(options, 'directory')
}

/** A file that must be there when the service starts. The value is absolute. */
export function existingFile(options: FieldOptions): Field<string> {
  return existing(options, 'file')
}

/** A file or a directory that must be there when the service starts. The value is absolute. */
export function existingPath(options: FieldOptions): Field<string> {
  return existing(options, 'file or directory')
}

/** A value that is never printed. May be given as `<env>_FILE`, the path of a file that holds it. */
export function secret(options: FieldOptions): Field<Secret> {
  return field(
    options,
    'a secret',
    z.string().transform((value) => new Secret(value)),
    true,
  )
}

export type EventLogUrl =
  | { readonly kind: 'embedded'; readonly directory: string }
  | { readonly kind: 'kafka'; readonly bootstrapServers: readonly string[] }

/** embedded:<directory> or kafka:<host:port,...>. */
export function eventLogUrl(options: FieldOptions): Field<EventLogUrl> {
  const allowed = 'embedded:<directory> or kafka:<host:port,host:port>'
  return field(
    options,
    allowed,
    parsed((value): EventLogUrl => {
      const [, kind, rest] = /^(embedded|kafka):(.+)$/.exec(value) ?? []
      if (kind === 'embedded') return { kind, directory: resolve(rest!) }
      if (kind === 'kafka') return { kind, bootstrapServers: rest!.split(',').map((server) => server.trim()) }
      throw new TypeError(allowed)
    }),
  )
}

/** Where checkpoints are: a directory, or a bucket and what all its keys begin with ('' or a path that ends in '/'). */
export type CheckpointsUrl =
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string }

export function checkpointsUrl(options: FieldOptions): Field<CheckpointsUrl> {
  const allowed = 'a directory, or s3://bucket/prefix'
  return field(
    options,
    allowed,
    parsed((value): CheckpointsUrl => {
      const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(value)?.[1]
      if (scheme === undefined) return { kind: 'directory', directory: resolve(value) }
      // As S3 names buckets; of keys, what every store and every shell takes as it is.
      const [, bucket, path = ''] =
        /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/((?:[\w][\w.=-]*\/?)*))?$/.exec(value) ?? []
      if (bucket === undefined) {
        throw new TypeError(
          `${allowed}; a bucket has 3 to 63 lower-case letters, digits, dots and dashes, a prefix letters, digits, ._=- and single slashes`,
        )
      }
      return { kind: 's3', bucket, prefix: path === '' || path.endsWith('/') ? path : `${path}/` }
    }),
  )
}

function existing(options: FieldOptions, wanted: 'directory' | 'file' | 'file or directory'): Field<string> {
  return field(
    options,
    `a ${wanted} that exists`,
    parsed((path) => {
      const found = kindOf(path)
      if (!wanted.includes(found)) {
        const what = found === 'missing' ? 'nothing is there' : `it is a ${found}`
        throw new TypeError(`a ${wanted} that exists; at ${resolve(path)} ${what}`)
      }
      return resolve(path)
    }),
  )
}

function kindOf(path: string): 'directory' | 'file' | 'missing' {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 'missing'
  return stat.isDirectory() ? 'directory' : 'file'
}

function digits(allowed: string): z.ZodPipe<z.ZodString, z.ZodTransform<number, string>> {
  return z
    .string()
    .regex(/^-?\d{1,16}$/, allowed)
    .transform(Number)
}

function bounds(min: number, max: number): string {
  if (Number.isFinite(min) && Number.isFinite(max) && max !== Number.MAX_SAFE_INTEGER) return ` from ${min} to ${max}`
  if (Number.isFinite(min) && min !== 0) return `, at least ${min}`
  if (Number.isFinite(min)) return ', not negative'
  return Number.isFinite(max) ? `, at most ${max}` : ''
}
