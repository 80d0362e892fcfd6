import { fileURLToPath } from 'node:url'

/** The demo's target, and where the prompts are. */
export const demoModel = fileURLToPath(new URL('../../models/demo-target', import.meta.url))

/** Small enough for tests that start many processes; the same tokenizer. */
export const tinyModel = fileURLToPath(new URL('../../models/tiny-target', import.meta.url))
