import type { OptimizerState } from '@plateau/training'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Where a training run stands. */
export interface TrainingProgress {
  readonly layers: number
  readonly elapsedMs: number
  readonly tokens: number
  readonly optimizer: OptimizerState
}

interface Header {
  readonly layers: number
  readonly elapsedMs: number
  readonly tokens: number
  readonly steps: number
  readonly lengths: readonly (readonly [name: string, length: number])[]
}

/** One line of JSON, padded to whole floats; then parameters, first and second moments, each in the header's order. */
export function saveProgress(file: string, { optimizer, ...place }: TrainingProgress): void {
  const lengths = [...optimizer.parameters].map(([name, data]) => [name, data.length] as const)
  const json = JSON.stringify({ ...place, steps: optimizer.steps, lengths } satisfies Header)
  const header = Buffer.from(`${json.padEnd(Math.ceil((Buffer.byteLength(json) + 1) / 4) * 4 - 1)}\n`)
  const arrays = [optimizer.parameters, optimizer.firstMoments, optimizer.secondMoments].flatMap((map) => [
    ...map.values(),
  ])
  const bytes = arrays.map((data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  mkdirSync(dirname(file), { recursive: true })
  // Renamed into place: a kill while writing leaves the previous file.
  writeFileSync(`${file}.partial`, Buffer.concat([header, ...bytes]))
  renameSync(`${file}.partial`, file)
}

export function loadProgress(file: string): TrainingProgress | undefined {
  if (!existsSync(file)) return undefined
  const contents = readFileSync(file)
  const lineEnd = contents.indexOf(0x0a)
  const { lengths, steps, ...place } = JSON.parse(contents.toString('utf8', 0, lineEnd)) as Header
  const floats = new Float32Array(new Uint8Array(contents.subarray(lineEnd + 1)).buffer)
  let at = 0
  const next = () => new Map(lengths.map(([name, length]) => [name, floats.slice(at, (at += length))]))
  return { ...place, optimizer: { steps, parameters: next(), firstMoments: next(), secondMoments: next() } }
}
