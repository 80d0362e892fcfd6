import { isTenantList, MANIFEST_FILE, type CheckpointManifest } from '@plateau/checkpoints'
import { messageOf, PlateauError } from '@plateau/contracts'
import type { ModelDescription } from '@plateau/model-files'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { learnedFrom, LEARNED_FROM_NOBODY, type LearnedFrom } from './learned-from.js'

/** Files of a draft that was trained before, by path; those that there are. */
type WarmFiles = ReadonlyMap<string, Uint8Array>

export interface WarmStart {
  readonly directory: string
  readonly files: WarmFiles
  /** As the manifest says it. What `plateau train` learned from is the operator's own choice: it names nobody. */
  readonly learnedFrom: LearnedFrom
}

/** What the closed form knew: see ridgePrior. */
export const PRIOR_FILE = 'prior.bin'
const CARD_FILE = 'README.md'
const DRAFT_FILES = ['config.json', 'model.safetensors', 'draft_vocabulary.json', PRIOR_FILE] as const

/**
 * A draft directory as `plateau train` writes it, or a version's folder of a checkpoint store, as the beginning of a new
 * lineage. Which target it was made for stands in its card or manifest. Throws WARM_START_INVALID, WARM_START_MISMATCH.
 */
export async function readWarmStart(directory: string, target: ModelDescription): Promise<WarmStart> {
  const made = await madeFor(directory)
  compare('target fingerprint', made.targetFingerprint, target.fingerprint, directory)
  compare('tokenizer hash', made.tokenizerHash, target.tokenizerHash, directory)
  const files = new Map<string, Uint8Array>()
  for (const name of DRAFT_FILES) {
    const bytes = await readIfThere(join(directory, name))
    if (bytes !== undefined) files.set(name, bytes)
  }
  return { directory, files, learnedFrom: made.learnedFrom }
}

/** Turns what is wrong with the draft's own files into the operator's words. */
export function asWarmStart<T>(directory: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw invalid(directory, messageOf(cause), cause)
  }
}

interface MadeFor {
  readonly targetFingerprint: unknown
  readonly tokenizerHash: unknown
  readonly learnedFrom: LearnedFrom
}

async function madeFor(directory: string): Promise<MadeFor> {
  const bytes = await readIfThere(join(directory, MANIFEST_FILE))
  if (bytes !== undefined) {
    return asWarmStart(directory, () => {
      const manifest = JSON.parse(bytes.toString('utf8')) as CheckpointManifest
      const isSaid = isTenantList(manifest.gradientTenants) && isTenantList(manifest.sumTenants)
      if (!isSaid) throw new RangeError(`has a ${MANIFEST_FILE} that does not say whose windows it is of`)
      return { ...manifest, learnedFrom: learnedFrom(manifest) }
    })
  }
  const card = await readIfThere(join(directory, CARD_FILE))
  if (card === undefined) throw invalid(directory, `has neither ${CARD_FILE} nor ${MANIFEST_FILE}: it is not complete`)
  const row = (name: string): string | undefined =>
    new RegExp(`^\\| ${name} \\| \`([0-9a-f]{64})\` \\|$`, 'm').exec(card.toString('utf8'))?.[1]
  return {
    targetFingerprint: row('target fingerprint'),
    tokenizerHash: row('tokenizer hash'),
    learnedFrom: LEARNED_FROM_NOBODY,
  }
}

function compare(what: string, found: unknown, expected: string, directory: string): void {
  if (found === expected) return
  if (typeof found !== 'string') throw invalid(directory, `does not say the ${what} that it was made for`)
  throw new PlateauError(
    'WARM_START_MISMATCH',
    `PLATEAU_WARM_START: the draft in ${directory} was made for ${what} ${found}, PLATEAU_MODEL has ${expected}`,
    { facts: { directory, found, expected } },
  )
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw invalid(path, messageOf(error), error)
  }
}

function invalid(directory: string, why: string, cause?: unknown): PlateauError {
  return new PlateauError('WARM_START_INVALID', `PLATEAU_WARM_START: ${directory} ${why}`, {
    facts: { directory },
    cause,
  })
}
