import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BenchError } from '../bench-error.js'
import type { Machine } from '../machine.js'
import { armKey, type ArmName, type ArmResult } from './arm-result.js'
import { positionsOf, type Dataset } from './dataset.js'

/** The first line of a file of results: what they were measured on, and by. */
export interface ResultsHeader {
  readonly dataset: {
    readonly target: string
    readonly targetFingerprint: string
    readonly vocabSize: number
    /** Tokens that drafts propose from. */
    readonly draftVocabulary: number
    readonly trainingPositions: number
    readonly calibrationPositions: number
    readonly referencePositions: number
    /** In the order of ArmResult.windowAlpha. */
    readonly heldOutWindows: readonly { readonly domain: string; readonly positions: number }[]
    readonly fingerprint: string
  }
  readonly machine: Machine
}

export function resultsHeader(dataset: Dataset, machine: Machine): ResultsHeader {
  const { name, target, vocabulary, training, calibration, heldOut, referencePositions, fingerprint } = dataset
  return {
    dataset: {
      target: name,
      targetFingerprint: target.fingerprint,
      vocabSize: target.config.vocabSize,
      draftVocabulary: vocabulary?.length ?? target.config.vocabSize,
      trainingPositions: positionsOf(training),
      calibrationPositions: positionsOf(calibration),
      referencePositions,
      heldOutWindows: heldOut.map(({ domain, rows }) => ({ domain, positions: rows.length })),
      fingerprint,
    },
    machine,
  }
}

/** One experiment's arms on one target, kept as lines of JSON: an arm is written when it is done, and is then not run again. */
export class ResultsFile {
  readonly path: string
  readonly #results: Map<string, ArmResult>

  private constructor(path: string, results: readonly ArmResult[]) {
    this.path = path
    this.#results = new Map(results.map((result) => [armKey(result), result]))
  }

  /** Begins the file where there is none. Throws BenchError where it holds results of another dataset. */
  static async open(path: string, header: ResultsHeader): Promise<ResultsFile> {
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text === '') {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, line(header))
      return new ResultsFile(path, [])
    }
    const found = parseResults(text)
    if (found.header.dataset.fingerprint !== header.dataset.fingerprint) {
      throw new BenchError(`${path} is of other windows than those in the cache: move it away, or use --results`)
    }
    if (!text.endsWith('\n')) await writeFile(path, wholeLines(text))
    return new ResultsFile(path, found.results)
  }

  has(arm: ArmName): boolean {
    return this.#results.has(armKey(arm))
  }

  get(arm: ArmName): ArmResult | undefined {
    return this.#results.get(armKey(arm))
  }

  /** On disk when the promise resolves. */
  async add(result: ArmResult): Promise<void> {
    await appendFile(this.path, line(result))
    this.#results.set(armKey(result), result)
  }
}

/** A line that a killed process did not finish is left out. */
export function parseResults(text: string): { readonly header: ResultsHeader; readonly results: readonly ArmResult[] } {
  const [header, ...results] = wholeLines(text)
    .split('\n')
    .filter((one) => one !== '')
    .map((one) => JSON.parse(one) as unknown)
  return { header: header as ResultsHeader, results: results as ArmResult[] }
}

function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1)
}

const DECIMALS = 1e5

function line(value: object): string {
  const rounded = (_: string, one: unknown): unknown =>
    typeof one === 'number' ? Math.round(one * DECIMALS) / DECIMALS : one
  return `${JSON.stringify(value, rounded)}\n`
}
