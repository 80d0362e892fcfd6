import { causalDraftKind, checkFeatureHeadFits, featureHeadKind } from '@plateau/causal-lm'
import { versionPath, type CheckpointManifest } from '@plateau/checkpoints'
import { messageOf, PlateauError } from '@plateau/contracts'
import { decodeCausalDraft, decodeFeatureHead, encodeEagle3, type DraftTargetModel } from '@plateau/model-files'

export type ExportFormat = 'eagle3' | 'huggingface'

export interface ExportedFile {
  readonly path: string
  readonly bytes: Uint8Array
}

const kindOf: Readonly<Record<ExportFormat, string>> = { eagle3: featureHeadKind, huggingface: causalDraftKind }

/** A verified version's files in that format. Throws EXPORT_IMPOSSIBLE saying what has no counterpart there. */
export function filesInFormat(
  format: ExportFormat,
  { kind, lineage, version }: CheckpointManifest,
  files: ReadonlyMap<string, Uint8Array>,
  target: DraftTargetModel,
): readonly ExportedFile[] {
  if (kind !== kindOf[format]) {
    const message = `version ${version} of lineage ${lineage} is a ${kind}; ${format} is for a ${kindOf[format]}`
    throw new PlateauError('EXPORT_IMPOSSIBLE', message, { facts: { kind, format } })
  }
  const where = versionPath(lineage, version)
  return format === 'eagle3' ? asEagle3(files, where, target) : asStored(files, where)
}

function asEagle3(files: ReadonlyMap<string, Uint8Array>, where: string, { target, config }: DraftTargetModel) {
  const head = decodeFeatureHead(files, where)
  try {
    checkFeatureHeadFits(head.config, target)
  } catch (cause) {
    throw new PlateauError('DRAFT_INVALID', `${where} does not fit its target: ${messageOf(cause)}`, { cause })
  }
  return encodeEagle3(head, target, { maxPositions: config.maxPositions })
}

/** The bytes that were signed: they are a Hugging Face directory already. Decoded only to refuse what is none. */
function asStored(files: ReadonlyMap<string, Uint8Array>, where: string): readonly ExportedFile[] {
  decodeCausalDraft(files, where)
  return [...files].map(([path, bytes]) => ({ path, bytes }))
}
