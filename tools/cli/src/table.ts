type Cell = string | number | undefined

/** Columns for a person: numbers to the right, text to the left, an absent value as "-". */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cells = [heads, ...rows].map((row) => heads.map((_, i) => shown(row[i])))
  const widths = heads.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)))
  const isNumeric = heads.map((_, i) => rows.length > 0 && rows.every((row) => typeof (row[i] ?? 0) === 'number'))
  const lines = cells.map((row) =>
    row
      .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

function shown(cell: Cell): string {
  return cell === undefined ? '-' : String(cell)
}

/** "3 d", "12 min": the largest unit that fits, for ages. */
export function duration(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const
  const [unit, size] = units.find(([, size]) => ms >= size) ?? ['s', 1000]
  return `${Math.floor(Math.max(0, ms) / size)} ${unit}`
}

/** "256 MiB"; whole units where they fit. */
export function bytes(count: number): string {
  const units = [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
  ] as const
  const fitting = units.find(([, size]) => count >= size && count % size === 0)
  return fitting === undefined ? `${count} B` : `${count / fitting[1]} ${fitting[0]}`
}
