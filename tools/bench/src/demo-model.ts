import { fileURLToPath } from 'node:url'

/** The target that the benchmarks run on unless told otherwise. */
export const demoModel = fileURLToPath(new URL('../../../models/demo-target', import.meta.url))
