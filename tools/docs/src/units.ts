const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const MIB = 1024 * 1024

/** "3 days", "6 hours". Only for whole ones: a document must not round what is promised. */
export function durationText(ms: number): string {
  if (ms % DAY_MS === 0) return `${ms / DAY_MS} ${ms === DAY_MS ? 'day' : 'days'}`
  if (ms % HOUR_MS === 0) return `${ms / HOUR_MS} ${ms === HOUR_MS ? 'hour' : 'hours'}`
  return `${ms} ms`
}

export function bytesText(bytes: number): string {
  if (bytes % MIB === 0) return `${bytes / MIB} MiB`
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} bytes`
}
