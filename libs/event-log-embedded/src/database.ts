import { closeSync, openSync, statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import { asLogError, isBusy } from './log-errors.js'

/** Raised whenever a schema gets a table: its statements then run once more on files of earlier versions. */
const SCHEMA_VERSION = 1
const APPLICATION_ID = 0x504c5455 // "PLTU"
const OPEN_TIMEOUT_MS = 5000
const OPEN_RETRY_MS = 5
/** SQLite waits inside a call, which stops this process's event loop: keep that short and go on waiting outside. */
const LOCK_TIMEOUT_MS = 50
const GIVE_UP_MS = 15_000
const PAGE_BYTES = 4096
const WAL_PAGES = 1000
const MAX_WAL_BYTES = 16 * 1024 * 1024

export interface DatabaseOptions {
  readonly synchronous: 'normal' | 'full'
  /** The file does not grow beyond this: appends then fail with LOG_FULL. */
  readonly maxBytes?: number | undefined
}

/**
 * One SQLite file that several processes write, in WAL mode: readers never wait, writers take turns, and what was
 * committed survives kill -9. With `synchronous: 'full'` it survives a power cut, too.
 */
export class Database {
  readonly path: string
  readonly #db: DatabaseSync
  readonly #dataVersion: StatementSync
  #seenVersion = -1

  constructor(path: string, schema: string, options: DatabaseOptions) {
    this.path = path
    try {
      createOwnerOnly(path)
      // The timeout has to be there from the start: as a pragma it comes too late for the switch to WAL.
      this.#db = new DatabaseSync(path, { timeout: OPEN_TIMEOUT_MS })
      try {
        retryWhileBusy(() => this.#prepare(schema, options))
        this.#dataVersion = this.#db.prepare('PRAGMA data_version')
      } catch (thrown) {
        this.#db.close()
        throw thrown
      }
    } catch (thrown) {
      throw asLogError(thrown, path)
    }
  }

  prepare(sql: string): StatementSync {
    return this.#db.prepare(sql)
  }

  /** All or nothing, alone among all processes. `work` must not await. */
  transact<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (thrown) {
      // SQLite has rolled back by itself after some failures, such as a full disk.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw thrown
    }
  }

  /** Runs `work` as soon as no other process stands in its way; what it throws comes out as a PlateauError. */
  async whenFree<T>(work: () => T): Promise<T> {
    const giveUpAt = performance.now() + GIVE_UP_MS
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
      try {
        return work()
      } catch (thrown) {
        if (!isBusy(thrown) || performance.now() > giveUpAt) throw asLogError(thrown, this.path)
      }
      await sleep(waitMs)
    }
  }

  /** True when another connection has committed since the last call. Costs microseconds, reads no file. */
  changedElsewhere(): boolean {
    const version = Number(this.#dataVersion.get()?.['data_version'])
    const changed = version !== this.#seenVersion
    this.#seenVersion = version
    return changed
  }

  /** SQLite begins the WAL anew only when nobody reads from it, which may not happen for a while under load. */
  boundWal(): void {
    const wal = statSync(`${this.path}-wal`, { throwIfNoEntry: false })
    if (wal !== undefined && wal.size > MAX_WAL_BYTES) this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #prepare(schema: string, options: DatabaseOptions): void {
    const isCurrent = this.#isCurrent()
    this.#switchToWal()
    this.#db.exec(`PRAGMA synchronous = ${options.synchronous}`)
    this.#db.exec(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}; PRAGMA journal_size_limit = ${MAX_WAL_BYTES}`)
    const ids = `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}`
    if (!isCurrent) this.transact(() => this.#db.exec(`${ids}; ${schema}`))
    if (options.maxBytes !== undefined) {
      this.#db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxBytes / PAGE_BYTES))}`)
    }
    this.#db.exec(`PRAGMA busy_timeout = ${LOCK_TIMEOUT_MS}`)
  }

  #switchToWal(): void {
    const mode = this.#db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
    if (mode === 'wal') return
    throw new PlateauError('LOG_UNAVAILABLE', `${this.path} cannot be shared: its file system has no shared memory.`, {
      facts: { path: this.path, journalMode: String(mode) },
    })
  }

  /** False for a new file, and for one that lacks what a later version added. */
  #isCurrent(): boolean {
    this.#db.exec('BEGIN')
    let owner, version, tables
    try {
      owner = Number(this.#db.prepare('PRAGMA application_id').get()?.['application_id'])
      version = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version'])
      tables = Number(this.#db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'])
    } finally {
      // A file that is busy is asked again, outside of this transaction.
      this.#db.exec('COMMIT')
    }
    if (owner === APPLICATION_ID) return version >= SCHEMA_VERSION
    if (tables === 0) return false
    throw new PlateauError('LOG_UNAVAILABLE', `${this.path} is a database of another program.`, {
      facts: { path: this.path },
    })
  }
}

/**
 * Where two processes open a new file at once, SQLite sees that each could wait for the other and refuses one of them at
 * once, whatever the timeout. Blocks: opening does.
 */
function retryWhileBusy(work: () => void): void {
  const giveUpAt = performance.now() + OPEN_TIMEOUT_MS
  for (;;) {
    try {
      return work()
    } catch (thrown) {
      if (!isBusy(thrown) || performance.now() > giveUpAt) throw thrown
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_RETRY_MS)
  }
}

/**
 * SQLite gives its side files the mode of the main file, so that one is created here. Never opened when it exists:
 * closing any descriptor of a file drops the POSIX locks that this process holds on it.
 */
function createOwnerOnly(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown
  }
}
