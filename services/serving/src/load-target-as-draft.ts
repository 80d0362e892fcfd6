import { targetAsDraft } from '@plateau/inference'
import { readModelDirectory } from '@plateau/model-files'
import type { Draft } from '@plateau/speculation'

/**
 * The target at a path (Hugging Face directory or GGUF file) as its own draft, in f32: everything that it proposes is
 * accepted by a target with f32 weights. For tests of the path between the two; it takes the target's memory once more.
 */
export async function loadTargetAsDraft(
  path: string,
  options: { readonly version: string; readonly maxProposal?: number },
): Promise<Draft> {
  return targetAsDraft(await readModelDirectory(path), options)
}
