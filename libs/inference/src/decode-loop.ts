/**
 * The running batch: takes the steps of all sequences, and lets the engine compute as many of them at once as it can.
 *
 *     idle ──submit──▶ planning ──▶ running ──▶ planning ...  until no step waits
 *                         │  ▲
 *                         ▼  │ a sequence closes, or a moment passes
 *                       blocked: nobody that waits fits the memory beside those that hold it
 *
 * Between two runs the event loop has a turn, so that what arrived during one joins the next, and whoever has ended or
 * been closed is not in it. Everything that moves keys and values happens in planning, when no run reads them.
 */
import type { CausalLmConfig } from '@plateau/causal-lm'
import { setImmediate as turn } from 'node:timers/promises'
import { receiveAnswer } from './batch-answer.js'
import { BatchPlanner, type BatchLimits, type Planned } from './batch-planner.js'
import { bringTogether } from './bring-together.js'
import type { KvPlace } from './kv-arena.js'
import type { KvMemory } from './kv-memory.js'
import type { PendingStep } from './pending-step.js'
import { prefixBlockTokens } from './prefix-store.js'
import type { InferenceSession } from './session.js'
import { BatchFeeds, batchPlace, type BatchMember } from './step-batch.js'
import type { StepRows } from './step-rows.js'

/** One run of the engine, for whoever keeps figures. */
export interface RunReport {
  readonly sequences: number
  readonly tokens: number
  /** Steps that wait for a later run. */
  readonly waiting: number
  /** Time inside the engine, and of everything around it (planning, feeding, storing), microseconds. */
  readonly engineUs: number
  readonly hostUs: number
}

export interface LoopOptions extends BatchLimits {
  readonly config: CausalLmConfig
  readonly session: InferenceSession
  readonly memory: KvMemory
  readonly onRun: (report: RunReport) => void
  /** Tokens whose keys and values were found instead of computed. */
  readonly onReuse: (tokens: number) => void
}

/** A sequence that has not stepped for so long may lose its memory to one that was opened later. */
const staleAfterMs = 1000

/** How soon a blocked step looks again. */
const retryMs = 250

export class DecodeLoop {
  readonly #options: LoopOptions
  readonly #planner: BatchPlanner<PendingStep>
  readonly #feeds: BatchFeeds
  readonly #lastUse = new WeakMap<KvPlace, number>()
  /** Places of the run that is being planned. */
  readonly #pinned = new Set<KvPlace>()
  #state: 'idle' | 'running' | 'blocked' = 'idle'
  #retry: NodeJS.Timeout | undefined

  constructor(options: LoopOptions) {
    this.#options = options
    this.#planner = new BatchPlanner(options)
    this.#feeds = new BatchFeeds(options.config)
  }

  submit(step: PendingStep): Promise<StepRows> {
    this.#planner.add(step)
    this.wake()
    return step.done.promise
  }

  /** Ends a step at once, wherever it is: what a run still computes of it is dropped. */
  cancel(step: PendingStep, reason: unknown): void {
    this.#planner.remove(step)
    step.fail(reason)
  }

  /** Looks whether something can run: after a step was asked for, and when memory has become free. */
  wake(): void {
    if (this.#state === 'running' || this.#planner.waiting === 0) return
    clearTimeout(this.#retry)
    this.#state = 'running'
    void this.#runUntilIdle()
  }

  async #runUntilIdle(): Promise<void> {
    for (;;) {
      await turn()
      const startMs = performance.now()
      const planned = this.#plan()
      if (planned.length === 0) break
      await this.#run(planned, startMs)
    }
    this.#state = this.#planner.waiting === 0 ? 'idle' : 'blocked'
    if (this.#state === 'blocked') this.#retry = setTimeout(() => this.wake(), retryMs).unref()
  }

  #plan(): Planned<PendingStep>[] {
    for (;;) {
      this.#options.memory.settle()
      this.#pinned.clear()
      let failed = false
      const planned = this.#planner.next((step, count) => {
        if (failed) return 0
        try {
          return this.#admit(step, count)
        } catch (error) {
          failed = true
          this.cancel(step, error)
          return 0
        }
      })
      if (!failed) return planned
      // What it took down with it may have been admitted before it: they are planned again.
      for (const { step } of planned) this.#planner.add(step)
    }
  }

  /** Room for the step's next tokens; those that are known already are taken from the store. */
  #admit(step: PendingStep, most: number): number {
    const { memory, onReuse } = this.#options
    const { place } = step
    const known =
      place.rows === 0
        ? memory.prefixes.find(place.scope, step.request.tokens, (block, i) => step.canReuse(block, i))
        : []
    const reused = known.length * prefixBlockTokens
    const count = place.rows === 0 ? Math.min(most, step.total - reused) : most
    const rows = Math.max(place.rows, reused) + count
    if (!memory.reserve(place, rows, step.total, this)) return 0
    if (place.rows === 0 && reused > 0) {
      for (const { data } of known) place.arena!.restore(place, data, prefixBlockTokens)
      step.reuse(known.map(({ features }) => features))
      onReuse(reused)
    }
    this.#pinned.add(place)
    return Math.min(count, step.remaining)
  }

  /** For KvMemory: who may not lose memory, */
  pinned = (place: KvPlace): boolean => this.#pinned.has(place)

  /** and who may, although it was there first. */
  stale = (place: KvPlace): boolean => performance.now() - (this.#lastUse.get(place) ?? 0) > staleAfterMs

  async #run(planned: readonly Planned<PendingStep>[], startMs: number): Promise<void> {
    const { session, onRun } = this.#options
    const members = planned.map(({ step, count }) => ({ step, chunk: step.chunk(count) }))
    try {
      const arena = members[0]!.step.place.arena!
      bringTogether(
        arena,
        members.map(({ step }) => step.place),
      )
      const place = batchPlace(arena, members)
      const feeds = this.#feeds.build(place, members)
      const preparedMs = performance.now()
      const { outputs, elapsedUs } = await session.timedRun(feeds)
      const answeredMs = performance.now()
      this.#distribute(members, receiveAnswer(outputs, elapsedUs, place, members))
      const hostUs = Math.round((preparedMs - startMs + performance.now() - answeredMs) * 1000)
      const { waiting } = this.#planner
      onRun({ sequences: members.length, tokens: place.tokens, waiting, engineUs: elapsedUs, hostUs })
    } catch (error) {
      for (const { step } of members) if (!step.over) step.fail(error)
    }
  }

  #distribute(members: readonly BatchMember[], pieces: readonly StepRows[]): void {
    const nowMs = performance.now()
    members.forEach(({ step, chunk }, i) => {
      if (step.over) return
      this.#lastUse.set(step.place, nowMs)
      step.take(chunk, pieces[i]!)
      if (step.remaining > 0) return this.#planner.add(step)
      if (step.isPrompt) this.remember(step.request.tokens, step.place, (from, count) => step.hiddenOf(from, count))
      step.finish()
    })
  }

  /** Keeps the beginning of these tokens, which `place` holds, for prompts that begin alike. */
  remember(
    tokens: readonly number[],
    place: KvPlace,
    hiddenOf: (from: number, count: number) => Float32Array | undefined,
  ): void {
    const { prefixes, freeBytes } = this.#options.memory
    const at = (index: number) => index * prefixBlockTokens
    prefixes.add(
      place.scope,
      tokens.slice(0, place.rows),
      freeBytes,
      (index, into) => place.arena!.read(place, at(index), prefixBlockTokens, into),
      (index) => hiddenOf(at(index), prefixBlockTokens),
    )
  }
}
