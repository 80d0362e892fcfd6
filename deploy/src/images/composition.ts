import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

/** The parts of a Compose file that ours uses, its short forms excluded where ours has the long one. */
export interface Container {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly user?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly mem_limit?: string
  readonly pids_limit?: number
  readonly restart?: string
  readonly network_mode?: string
  readonly networks?: readonly string[]
  readonly profiles?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly Mount[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
}

export interface Mount {
  readonly type: 'bind' | 'volume'
  readonly source: string
  readonly target: string
  readonly read_only?: boolean
}

export interface Composition {
  readonly services: Readonly<Record<string, Container>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
}

export const compositionFolder = (repository: string): string => join(repository, 'deploy/compose')

/** compose.yaml as Compose reads it where no variable is set: merges done, defaults put in. */
export function readComposition(repository: string): Composition {
  const text = readFileSync(join(compositionFolder(repository), 'compose.yaml'), 'utf8')
  return parse(interpolate(text), { merge: true }) as Composition
}

/** `${NAME:-default}` becomes its default, `$$` a dollar; anything else that begins with a dollar is a mistake. */
function interpolate(text: string): string {
  return text.replace(/\$(\$|\{\w+:-([^}]*)\})?/g, (whole, _form: string | undefined, value: string | undefined) => {
    if (whole === '$$') return '$'
    if (value === undefined) throw new Error(`compose.yaml has a variable without a default: ${whole}`)
    return value
  })
}

export interface Places {
  readonly repository: string
  /** Where make-secrets.mjs made them. */
  readonly secrets: string
  /** Addresses inside the composition, and what stands for them here. */
  readonly addresses?: Readonly<Record<string, string>>
}

/** A container's environment with paths and addresses of this machine: what it would be told, for a process. */
export function settingsHere(composition: Composition, name: string, places: Places): Record<string, string> {
  const { environment = {} } = composition.services[name]!
  return Object.fromEntries(
    Object.entries(environment).map(([key, value]) => [key, hereFor(composition.services[name]!, value, places)]),
  )
}

/** Paths of mounted files, wherever they stand in a text, and addresses as above. */
export function hereFor(
  { volumes = [] }: Container,
  text: string,
  { repository, secrets, addresses = {} }: Places,
): string {
  const mounted = volumes.reduce((so, { type, source, target }) => {
    const place = type === 'bind' ? join(compositionFolder(repository), source) : join(secrets, source)
    return so.replaceAll(new RegExp(`${target}(?=[/"\\s]|$)`, 'g'), place)
  }, text)
  return Object.entries(addresses).reduce((so, [inside, here]) => so.replaceAll(inside, here), mounted)
}
