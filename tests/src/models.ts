import { fileURLToPath } from 'node:url'

/** Small enough for tests; the same tokenizer as the demo's target. */
export const tinyModel = fileURLToPath(new URL('../../models/tiny-target', import.meta.url))

/** Where the prompts are. */
export const promptModel = fileURLToPath(new URL('../../models/demo-target', import.meta.url))
