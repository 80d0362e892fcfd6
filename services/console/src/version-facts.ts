import type { Manifests, ManifestFinding } from './manifests.js'
import { versionOf, type LineageState, type VersionState } from './model/state.js'

/** A version with what its files say. */
export interface VersionFacts {
  readonly version: VersionState
  readonly files: ManifestFinding
}

/** One ancestor after the other, as far as they are known. */
export interface VersionStory extends VersionFacts {
  readonly parents: readonly VersionFacts[]
}

const MAX_PARENTS = 12

/** Undefined when neither the log nor the store knows of the version. */
export async function versionStory(
  lineage: LineageState,
  number: number,
  manifests: Manifests,
): Promise<VersionStory | undefined> {
  const own = await factsOf(lineage, number, manifests)
  if (own === undefined) return undefined
  const parents: VersionFacts[] = []
  for (let parent = parentOf(own); parent > 0 && parents.length < MAX_PARENTS; parent = parentOf(parents.at(-1)!)) {
    const facts = await factsOf(lineage, parent, manifests)
    // A parent is older: anything else would lead round in a circle.
    if (facts === undefined || parent >= (parents.at(-1)?.version.version ?? number)) break
    parents.push(facts)
  }
  return { ...own, parents }
}

/** 0 = the first, or nobody knows. */
export function parentOf({ version, files }: VersionFacts): number {
  return version.announced?.parentVersion ?? (files.kind === 'found' ? files.manifest.parent : 0)
}

export interface HeldOut {
  readonly positions: number
  readonly alpha: number | undefined
  readonly parentAlpha: number | undefined
  readonly greedyMatch: number | undefined
}

/** The trainer's comparison: as announced, else as the manifest has it. */
export function heldOutOf({ version, files }: VersionFacts): HeldOut | undefined {
  const said = version.announced?.evaluation ?? (files.kind === 'found' ? files.manifest.evaluation : undefined)
  if (said === undefined) return undefined
  const number = (value: number | null): number | undefined =>
    value === null || !Number.isFinite(value) ? undefined : value
  const { positions, alpha, parentAlpha, greedyMatch } = said
  return { positions, alpha: number(alpha), parentAlpha: number(parentAlpha), greedyMatch: number(greedyMatch) }
}

async function factsOf(lineage: LineageState, number: number, manifests: Manifests): Promise<VersionFacts | undefined> {
  const known = lineage.versions.get(number)
  const files = await manifests.find(lineage.name, number)
  if (known === undefined && files.kind !== 'found') return undefined
  return { version: known ?? unheardVersion(number), files }
}

/** Of which the log says nothing any more. */
function unheardVersion(number: number): VersionState {
  return versionOf({ versions: new Map() }, number)!
}
