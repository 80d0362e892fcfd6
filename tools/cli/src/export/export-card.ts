import type { CheckpointManifest } from '@plateau/checkpoints'
import type { ModelDescription } from '@plateau/model-files'
import type { ExportedFile, ExportFormat } from './export-format.js'

/** README.md of an exported version: which it is, and what its layout is and is not. */
export function exportCard(
  format: ExportFormat,
  manifest: CheckpointManifest,
  target: ModelDescription,
  files: readonly ExportedFile[],
): string {
  const { lineage, version, kind, evaluation } = manifest
  return `# ${lineage}, version ${version}

A draft for **${target.modelId}**, of no use for another model. Its target checks every token that it proposes.

| | |
|---|---|
| lineage, version | ${lineage}, ${version} (trained from ${manifest.parent === 0 ? 'none' : manifest.parent}) |
| kind | ${kind} |
| made at | ${manifest.createdAt} |
| target fingerprint | \`${manifest.targetFingerprint}\` |
| tokenizer hash | \`${manifest.tokenizerHash}\` |
| alpha (mean of sum min(p, q), held out) | ${shown(evaluation.alpha)} over ${evaluation.positions} positions |
| greedy match | ${shown(evaluation.greedyMatch)} |
| trained on | ${manifest.trainedPositions} positions |

${format === 'eagle3' ? EAGLE3 : huggingFace(files)}`
}

function shown(rate: number | null): string {
  return rate === null ? 'not measured' : rate.toFixed(4)
}

const EAGLE3 = `## The layout: EAGLE-3's names and shapes, not the same function

\`config.json\` and \`model.safetensors\` (float16) are named and shaped as SpecForge writes an EAGLE-3 draft; embeddings are
left to the target. EAGLE-3's layer adds to the projected state alone and reads the token through its attention, where
this head projects token and state together; of the three target states that \`fc\` takes, only the last is used (the
others' weights are zero). So the same weights compute something else: **the figures above are the stored head's, not this
directory's**. It is a place to train on from, not a draft to serve as it is.
`

function huggingFace(files: readonly ExportedFile[]): string {
  const isReduced = files.some(({ path }) => path === 'draft_vocabulary.json')
  return `## The layout: a causal language model, as it was stored

\`config.json\` and \`model.safetensors\` are those of a Llama-style model in Hugging Face's format, byte for byte the signed
checkpoint's. ${isReduced ? REDUCED : WHOLE}
`
}

const REDUCED = `The vocabulary is the draft's own: row i of embeddings and logits is the target's token \`target_ids[i]\` of
\`draft_vocabulary.json\`, and the last row, after those, is "any other token". Transformers loads it and computes the same
logits; **the target's tokenizer does not fit it** until ids are translated, so programs that ask for an assistant model
with the target's vocabulary cannot use it directly.`

const WHOLE = `Rows are the target's tokens: with the target's tokenizer files put beside them (they are not included), it is a
model like any other.`
