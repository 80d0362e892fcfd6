import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

type Versions = Readonly<Record<string, string>>

interface Lockfile {
  readonly importers: Readonly<Record<string, { readonly dependencies?: Record<string, { version: string }> }>>
  readonly packages: Readonly<
    Record<string, { readonly os?: string[]; readonly cpu?: string[]; readonly libc?: string[] }>
  >
  readonly snapshots: Readonly<Record<string, { dependencies?: Versions; optionalDependencies?: Versions }>>
}

/**
 * `name@version` of everything that the importers reach in the lockfile by production dependencies, theirs and of
 * packages of the workspace alike, for Linux with glibc on x64. Read from the lockfile alone, to hold tools against.
 */
export function lockedDependencies(repository: string, importers: readonly string[]): Set<string> {
  const lock = parse(readFileSync(join(repository, 'pnpm-lock.yaml'), 'utf8')) as Lockfile
  const projects = new Set(importers)
  const snapshots = new Set<string>()
  const take = (from: string, name: string, version: string): void => {
    if (version.startsWith('link:')) projects.add(join(from, version.slice(5)))
    else snapshots.add(version.startsWith('@') || /^[^(]*@/.test(version) ? version : `${name}@${version}`)
  }
  // Sets that grow while they are walked are walked to their ends.
  for (const project of projects) {
    const dependencies = lock.importers[project]?.dependencies ?? {}
    for (const [name, { version }] of Object.entries(dependencies)) take(project, name, version)
  }
  for (const key of snapshots) {
    const { dependencies = {}, optionalDependencies = {} } = lock.snapshots[key] ?? {}
    for (const [name, version] of Object.entries(dependencies)) take('', name, version)
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (runsHere(lock.packages[`${name}@${version}`] ?? {})) take('', name, version)
    }
  }
  return new Set([...snapshots].map((key) => key.replace(/\(.*/, '')))
}

function runsHere({ os, cpu, libc }: Lockfile['packages'][string]): boolean {
  const allows = (list: readonly string[] | undefined, ours: string) => list === undefined || list.includes(ours)
  return allows(os, 'linux') && allows(cpu, 'x64') && allows(libc, 'glibc')
}
