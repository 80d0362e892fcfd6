import { fileURLToPath } from 'node:url'

const fromHere = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** The same from src and from dist: both lie equally deep. */
export const repository = fromHere('../..')
export const chartDirectory = fromHere('../helm/plateau')
export const manifestsDirectory = fromHere('../kubernetes')
export const schemasDirectory = fromHere('../schemas')
