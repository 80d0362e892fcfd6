/**
 * Preloaded into a service (`node --import`), moves its wall clock: SIGUSR2 sets it half an hour ahead, the next one back to
 * true, as a step of NTP would. Timers and performance.now() go on, as they do then.
 */
/** Kafka 4 refuses records from more than an hour ahead. */
const AHEAD_MS = 1_800_000

/** For NODE_OPTIONS. */
export const clockJumpModule = import.meta.url

// The fault suite imports this file for its name only.
if (process.execArgv.includes(import.meta.url) || process.env['NODE_OPTIONS']?.includes(import.meta.url)) {
  const trueNow = Date.now
  let aheadMs = 0
  process.on('SIGUSR2', () => (aheadMs = AHEAD_MS - aheadMs))
  Date.now = () => trueNow() + aheadMs
  const TrueDate = globalThis.Date
  globalThis.Date = new Proxy(TrueDate, {
    construct: (target, args: ConstructorParameters<DateConstructor>) =>
      (args as unknown[]).length === 0 ? new target(Date.now()) : new target(...args),
  })
}
