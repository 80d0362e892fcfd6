import { resolve } from 'node:path'
import { readVerifyingKey } from '@plateau/checkpoints'
import { readDraftTarget } from '@plateau/model-files'
import { modelsDirectory, resolveModel } from '@plateau/model-hub'
import type { Context, ExitCode } from '../command.js'
import { openCheckpoints } from '../open-checkpoints.js'
import { UsageError } from '../usage-error.js'
import { exportCard } from './export-card.js'
import { type ExportFormat, filesInFormat } from './export-format.js'
import { mustBeFree, writeNewDirectory } from './new-directory.js'
import { openVersion } from './open-version.js'

export interface ExportCheckpointOptions {
  readonly lineage: string
  readonly model: string
  readonly format: ExportFormat
  readonly out: string
  /** Undefined: the newest. */
  readonly version: number | undefined
  readonly store: string | undefined
  readonly 'verify-key': string | undefined
}

/** Verifies a version, writes it in a format of others. Nothing is left at `out` when anything is wrong. */
export async function exportCheckpoint(context: Context, given: ExportCheckpointOptions): Promise<ExitCode> {
  const { environment } = context
  const keyFile = given['verify-key'] ?? environment['PLATEAU_VERIFY_KEY_FILE']
  if (keyFile === undefined)
    throw new UsageError('--verify-key FILE is missing, and PLATEAU_VERIFY_KEY_FILE is not set')
  const { lineage, format } = given
  const out = resolve(given.out)
  await mustBeFree(out)
  const key = await readVerifyingKey(keyFile)
  const target = await readDraftTarget(await resolveModel(given.model, { directory: modelsDirectory(environment) }))
  const store = await openCheckpoints(environment, given.store)
  const { manifest, files } = await openVersion(store, lineage, given.version, { key, target })
  const exported = filesInFormat(format, manifest, files, target)
  const card = { path: 'README.md', bytes: Buffer.from(exportCard(format, manifest, target, exported)) }
  await writeNewDirectory(out, [...exported, card])
  const { version } = manifest
  context.report({
    json: { lineage, version, format, out, files: [...exported, card].map(({ path }) => path) },
    text: `${out}: version ${version} of lineage ${lineage} as ${format}; README.md in it says what it is\n`,
  })
  return 0
}
