import { command } from '../command.js'
import { STORE_HELP } from '../open-checkpoints.js'
import { oneOf, required, text, value, wholeNumber } from '../option.js'

const options = {
  lineage: required('L', "which draft's line of versions", text),
  model: required(
    'NAME|PATH',
    'the target that the draft is for: a name, a Hugging Face directory or a GGUF file',
    text,
  ),
  format: required('FORMAT', 'eagle3 or huggingface', oneOf('eagle3', 'huggingface')),
  out: required('DIR', 'a directory to make; one that is there must be empty', text),
  version: value('N', 'which version; default: the newest in the store', wholeNumber(1)),
  store: value('STORE', STORE_HELP, text),
  'verify-key': value('FILE', 'public key of the signatures; default: PLATEAU_VERIFY_KEY_FILE', text),
}

export const checkpointsExport = command({
  name: 'checkpoints export',
  summary: "write a version of a draft in other programs' format",
  details: `
The version is read from the checkpoint store, and written only when its signature, digests and target
are right.
eagle3: a feature-fed head as SpecForge lays out an EAGLE-3 draft (float16). Names and shapes
are EAGLE-3's, the function is not quite: train on from it, do not serve it as it is. Bilinear features
have no counterpart there.
huggingface: a causal-lm draft, file for file as it is stored; README.md in
DIR says what its rows stand for.`,
  options,
  run: async (context, given) => {
    // Imported late: help and mistakes need none of it.
    const { exportCheckpoint } = await import('../export/export-checkpoint.js')
    return exportCheckpoint(context, given)
  },
})
