import type { StatementSync } from 'node:sqlite'
import type { Database } from './database.js'
import { isCertainlyDead, thisProcess } from './process-identity.js'

/** One wait for, or one hold of, a lease; unique among all processes. */
export interface LeaseClaim {
  readonly name: string
  readonly holder: string
  readonly sessionTimeoutMs: number
}

/** Who is the only writer of what: one row a name, in the control file. Rows stay, so that epochs only ever grow. */
export class LeaseStore {
  readonly #db: Database
  readonly #nowMs: () => number
  readonly #self = thisProcess()
  readonly #find: StatementSync
  readonly #take: StatementSync
  readonly #keep: StatementSync
  readonly #drop: StatementSync

  constructor(db: Database, nowMs: () => number) {
    this.#db = db
    this.#nowMs = nowMs
    this.#find = db.prepare('SELECT * FROM writers WHERE name = ?')
    this.#take = db.prepare('INSERT OR REPLACE INTO writers VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
    this.#keep = db.prepare('UPDATE writers SET seen_at_ms = ? WHERE name = ? AND holder = ?')
    this.#drop = db.prepare('UPDATE writers SET holder = NULL WHERE name = ? AND holder = ?')
  }

  /** The new epoch; undefined while another holds the lease. */
  take({ name, holder, sessionTimeoutMs }: LeaseClaim): number | undefined {
    // Those who wait ask often: a look costs no lock.
    if (this.#isHeld(this.#find.get(name))) return undefined
    return this.#db.transact(() => {
      const row = this.#find.get(name)
      if (this.#isHeld(row)) return undefined
      const epoch = Number(row?.['epoch'] ?? 0) + 1
      const { pid, startedAt, space } = this.#self
      this.#take.run(name, epoch, holder, pid, startedAt, space, sessionTimeoutMs, this.#nowMs())
      return epoch
    })
  }

  /** To be called well within the session timeout. False when another has it by now. */
  keep({ name, holder }: LeaseClaim): boolean {
    return this.#db.transact(() => this.#keep.run(this.#nowMs(), name, holder).changes === 1)
  }

  /** Does nothing to a lease that another holds. */
  release({ name, holder }: LeaseClaim): void {
    this.#db.transact(() => this.#drop.run(name, holder))
  }

  #isHeld(row: Record<string, unknown> | undefined): boolean {
    if (row === undefined || row['holder'] === null) return false
    const silentMs = this.#nowMs() - Number(row['seen_at_ms'])
    if (silentMs > Number(row['session_timeout_ms'])) return false
    const process = {
      pid: Number(row['pid']),
      startedAt: String(row['started_at']),
      space: String(row['space']),
    }
    return !isCertainlyDead(process, this.#self)
  }
}
