import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, PlateauError, TrainingWindow } from '@plateau/contracts'

/** Some 7 MB of a small model's windows: at most so much is collected again after a kill. */
const POSITIONS_PER_FILE = 4096

/**
 * Training windows on disk, in the order in which they were added: files of messages, each after its length in four
 * bytes. A file is whole or absent, so a killed process loses what it had not written yet and nothing else.
 */
export class WindowStore {
  readonly #directory: string
  readonly #files: string[]
  readonly #samples = new Set<string>()
  readonly #keys = new Set<string>()
  readonly #positions = new Map<string, number>()
  #waiting: TrainingWindow[] = []
  #waitingPositions = 0

  private constructor(directory: string, files: string[]) {
    this.#directory = directory
    this.#files = files
  }

  /** What an earlier process left is kept. Throws WINDOW_STORE_INVALID naming the file when it cannot be read. */
  static async open(directory: string): Promise<WindowStore> {
    await mkdir(directory, { recursive: true })
    const names = (await readdir(directory)).toSorted()
    for (const name of names) if (name.endsWith(PARTIAL)) await rm(join(directory, name))
    const store = new WindowStore(
      directory,
      names.filter((name) => name.endsWith(WHOLE)),
    )
    for await (const window of store.read()) store.#isNew(window)
    return store
  }

  /** By domain; windows without one under "". */
  get positions(): ReadonlyMap<string, number> {
    return this.#positions
  }

  get totalPositions(): number {
    return [...this.#positions.values()].reduce((sum, positions) => sum + positions, 0)
  }

  /** Samples of which at least one window is here. */
  get samples(): ReadonlySet<string> {
    return this.#samples
  }

  /** A window that is here already changes nothing. */
  async add(window: TrainingWindow): Promise<void> {
    if (!this.#isNew(window)) return
    this.#waiting.push(window)
    this.#waitingPositions += positionsOf(window)
    if (this.#waitingPositions >= POSITIONS_PER_FILE) await this.flush()
  }

  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return
    const name = `windows-${String(this.#files.length).padStart(6, '0')}${WHOLE}`
    const partial = join(this.#directory, name + PARTIAL)
    const file = await open(partial, 'w')
    try {
      await file.writeFile(Buffer.concat(this.#waiting.flatMap(framed)))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, join(this.#directory, name))
    this.#files.push(name)
    this.#waiting = []
    this.#waitingPositions = 0
  }

  /** All windows that have been written; given `random`, uniform in [0, 1), file by file in random order. */
  async *read(random?: () => number): AsyncGenerator<TrainingWindow> {
    const order = this.#files.map((name) => ({ name, at: random?.() ?? 0 })).toSorted((a, b) => a.at - b.at)
    for (const { name } of order) {
      const path = join(this.#directory, name)
      yield* unframed(await readFile(path), path)
    }
  }

  /** Counts it, if so. */
  #isNew(window: TrainingWindow): boolean {
    const { sampleId = '', windowIndex = 0, domain = '' } = window.window ?? {}
    const key = `${sampleId} ${windowIndex}`
    if (this.#keys.has(key)) return false
    this.#keys.add(key)
    this.#samples.add(sampleId)
    this.#positions.set(domain, (this.#positions.get(domain) ?? 0) + positionsOf(window))
    return true
  }
}

const WHOLE = '.bin'
const PARTIAL = '.partial'
const LENGTH_BYTES = 4

function positionsOf({ window }: TrainingWindow): number {
  return window?.tokenIds.length ?? 0
}

function framed(window: TrainingWindow): Uint8Array[] {
  const bytes = TrainingWindow.encode(window).finish()
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32LE(bytes.length)
  return [length, bytes]
}

function* unframed(file: Buffer, path: string): Generator<TrainingWindow> {
  for (let at = 0; at < file.length;) {
    try {
      const end = at + LENGTH_BYTES + file.readUInt32LE(at)
      if (end > file.length) throw new RangeError(`the record ends at byte ${end} of ${file.length}`)
      yield TrainingWindow.decode(file.subarray(at + LENGTH_BYTES, end))
      at = end
    } catch (cause) {
      throw new PlateauError('WINDOW_STORE_INVALID', `${path} is damaged at byte ${at}: ${messageOf(cause)}`, {
        facts: { path, at },
        cause,
      })
    }
  }
}
