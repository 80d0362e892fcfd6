const OFFSET_DIGITS = 12

/** The offsets that a file covers, both inclusive; it holds what was worth a row of them. */
export interface CoveredRange {
  readonly partition: number
  readonly first: number
  readonly last: number
}

export function fileName({ partition, first, last }: CoveredRange): string {
  const padded = (offset: number) => String(offset).padStart(OFFSET_DIGITS, '0')
  return `scored-tokens-p${partition}-${padded(first)}-${padded(last)}.parquet`
}

export const TEMPORARY = '.writing-'

/** While a file is being written. pandas and pyarrow pass over names with a dot; DuckDB's *.parquet does not. */
export function temporaryName(name: string): string {
  return `${TEMPORARY}${name}.part`
}

export function parseFileName(name: string): CoveredRange | undefined {
  const [, partition, first, last] = /^scored-tokens-p(\d+)-(\d{12,})-(\d{12,})\.parquet$/.exec(name) ?? []
  if (partition === undefined) return undefined
  return { partition: Number(partition), first: Number(first), last: Number(last) }
}
