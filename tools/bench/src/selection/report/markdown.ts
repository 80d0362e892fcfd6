/** A table; the first column on the left, numbers on the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = line(heads.map((_, i) => (i === 0 ? '---' : '---:')))
  return [line(heads), rule, ...rows.map(line)].join('\n')
}

/** Joined by empty lines; one sentence instead of nothing. */
export function sections(parts: readonly string[]): string {
  return parts.length === 0 ? '*Not measured.*' : parts.join('\n\n')
}

export const fixed = (value: number | null | undefined, digits = 4): string =>
  value === null || value === undefined || !Number.isFinite(value) ? '-' : value.toFixed(digits)

export const signed = (value: number, digits = 4): string =>
  Number.isFinite(value) ? `${value < 0 ? '' : '+'}${value.toFixed(digits)}` : '-'

export const percent = (share: number, digits = 0): string => `${(share * 100).toFixed(digits)} %`

export const signedPercent = (share: number): string => `${signed(share * 100, 1)} %`

/** A p value. */
export const probability = (p: number): string => (p < 0.0001 ? '< .0001' : p.toFixed(4))
