import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'

export type ExportedRow = Record<string, unknown>

/** The names of an export's data files, in order. */
export function dataFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.parquet') && !name.startsWith('.'))
    .toSorted()
}

export async function readExport(directory: string): Promise<ExportedRow[]> {
  const rows: ExportedRow[] = []
  for (const name of dataFiles(directory)) {
    rows.push(...(await parquetReadObjects({ file: await asyncBufferFromFile(join(directory, name)) })))
  }
  return rows
}
