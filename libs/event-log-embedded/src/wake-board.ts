import { closeSync, type FSWatcher, openSync, watch, writeSync } from 'node:fs'
import { join } from 'node:path'

/** With a working watch the poll is only a safety net; without one it is how readers learn of new records. */
const SAFETY_POLL_MS = 100
const FASTEST_POLL_MS = 2
const SLOWEST_POLL_MS = 50

interface Watched {
  readonly changedElsewhere: () => boolean
  readonly listeners: Set<() => void>
}

/**
 * Tells the readers of all processes that something was committed. Whoever commits writes one byte to the file of that
 * name in a directory which everyone watches (about a millisecond, no CPU while idle). Where files cannot be watched,
 * and in case an event is lost, a poll asks SQLite whether its data version changed.
 */
export class WakeBoard {
  readonly #directory: string
  readonly #watched = new Map<string, Watched>()
  readonly #files = new Map<string, number>()
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #pollMs = FASTEST_POLL_MS

  constructor(directory: string) {
    this.#directory = directory
    try {
      this.#watcher = watch(directory, { persistent: false }, (_event, name) => this.#notify(name ?? ''))
      // Out of watches, directory gone: polling goes on.
      this.#watcher.on('error', () => this.#stopWatching())
    } catch {
      this.#watcher = undefined
    }
  }

  /** Calls `listener` after every commit under `name`, at times without one. Returns how to stop. */
  subscribe(name: string, changedElsewhere: () => boolean, listener: () => void): () => void {
    const watched = this.#watched.get(name) ?? { changedElsewhere, listeners: new Set() }
    this.#watched.set(name, watched)
    watched.listeners.add(listener)
    if (this.#timer === undefined) this.#schedulePoll()
    return () => {
      watched.listeners.delete(listener)
      if (watched.listeners.size > 0) return
      this.#watched.delete(name)
      if (this.#watched.size === 0) this.#stopPolling()
    }
  }

  /** To be called after the commit, never before. */
  announce(name: string): void {
    this.#notify(name)
    try {
      let file = this.#files.get(name)
      if (file === undefined) {
        file = openSync(join(this.#directory, name), 'w', 0o600)
        this.#files.set(name, file)
      }
      writeSync(file, '.', 0)
    } catch {
      // The others' poll will find the commit: being late is all that happens.
    }
  }

  close(): void {
    this.#stopWatching()
    this.#stopPolling()
    this.#watched.clear()
    for (const file of this.#files.values()) closeSync(file)
    this.#files.clear()
  }

  #notify(name: string): void {
    for (const listener of this.#watched.get(name)?.listeners ?? []) listener()
  }

  #schedulePoll(): void {
    // Referenced on purpose: a process that only waits for records must stay alive.
    this.#timer = setTimeout(() => this.#poll(), this.#watcher === undefined ? this.#pollMs : SAFETY_POLL_MS)
  }

  #poll(): void {
    let changed = false
    for (const { changedElsewhere, listeners } of this.#watched.values()) {
      if (!changedElsewhere()) continue
      changed = true
      for (const listener of listeners) listener()
    }
    this.#pollMs = changed ? FASTEST_POLL_MS : Math.min(this.#pollMs * 2, SLOWEST_POLL_MS)
    this.#schedulePoll()
  }

  #stopPolling(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #stopWatching(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}
