import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'

/** The ce_ids of a file that this export wrote, in order. */
export async function readIds(path: string): Promise<string[]> {
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path), columns: ['ce_id'] })
  return rows.map((row) => String(row['ce_id']))
}
