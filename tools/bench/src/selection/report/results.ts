/** Reads what the runner kept: arms on their datasets, and what each selector kept. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ArmResult, armKey } from '../arm-result.js'
import { parseResults, type ResultsHeader } from '../results-file.js'
import type { SelectedSets } from './selected-sets.js'

export type DatasetFacts = ResultsHeader['dataset']
export type HeldOutWindow = DatasetFacts['heldOutWindows'][number]

export interface Results {
  /** By target. */
  readonly headers: ReadonlyMap<string, ResultsHeader>
  readonly arms: readonly ArmResult[]
  readonly sets: readonly SelectedSets[]
}

/** Files named EXPERIMENT-TARGET.jsonl and sets-TARGET.json. */
export function readResults(directory: string): Results {
  const names = readdirSync(directory).toSorted()
  const read = (name: string) => readFileSync(join(directory, name), 'utf8')
  const arms = names.filter((name) => name.endsWith('.jsonl'))
  const sets = names.filter((name) => /^sets-.*\.json$/.test(name))
  return joinResults(
    arms.map((name) => ({ name, text: read(name) })),
    sets.map((name) => JSON.parse(read(name)) as SelectedSets),
  )
}

/** Throws where files contradict each other about a target's dataset, an arm is there twice, or judged on other windows. */
export function joinResults(
  files: readonly { readonly name: string; readonly text: string }[],
  sets: readonly SelectedSets[] = [],
): Results {
  const headers = new Map<string, ResultsHeader>()
  const arms = new Map<string, ArmResult>()
  for (const { name, text } of files) {
    const { header, results } = parseResults(text)
    const { target, fingerprint } = header.dataset
    const known = headers.get(target)
    if (known !== undefined && known.dataset.fingerprint !== fingerprint) {
      throw new Error(`${name}: recorded from other ${target} windows than the files before it`)
    }
    headers.set(target, header)
    for (const arm of results) addArm(name, arms, arm, header.dataset)
  }
  return { headers, arms: [...arms.values()], sets }
}

function addArm(file: string, arms: Map<string, ArmResult>, arm: ArmResult, { heldOutWindows }: DatasetFacts): void {
  const key = armKey(arm)
  const [judged, windows] = [arm.windowAlpha.length, heldOutWindows.length]
  if (arms.has(key)) throw new Error(`${file}: ${key} is there twice`)
  if (judged !== windows) throw new Error(`${file}: ${key} was judged on ${judged} windows, not on ${windows}`)
  arms.set(key, arm)
}
