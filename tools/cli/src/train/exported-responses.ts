import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, PlateauError } from '@plateau/contracts'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet'

/** Consecutive tokens of one response, as far as the export has them. */
export interface ExportedResponse {
  readonly sampleId: string
  readonly domain: string
  readonly isForEvaluation: boolean
  readonly tokenIds: readonly number[]
}

interface ExportedRow {
  readonly sample_id: string
  readonly start_position: number
  readonly token_ids: readonly number[]
  readonly arm: string
  readonly domain: string
  readonly target_fingerprint: string
}

const COLUMNS = ['sample_id', 'start_position', 'token_ids', 'arm', 'domain', 'target_fingerprint'] as const

/**
 * The responses of an export of scored-tokens (rows for windows): a file or its directory. Windows of a response are put
 * together where they follow each other. Throws EXPORT_INVALID naming the file, also when it was exported with
 * `--rows tokens`.
 */
export async function readExportedResponses(path: string, fingerprint: string): Promise<ExportedResponse[]> {
  const rows = (await Promise.all((await parquetFiles(path)).map(readRows))).flat()
  const ours = rows.filter((row) => row.target_fingerprint === fingerprint)
  if (ours.length === 0) {
    throw new PlateauError(
      'EXPORT_INVALID',
      `${path} has no windows of this target (${rows.length} of others): token ids mean nothing to another model`,
      { facts: { path, others: rows.length } },
    )
  }
  const ordered = ours.toSorted((a, b) => a.sample_id.localeCompare(b.sample_id) || a.start_position - b.start_position)
  return joined(ordered)
}

async function parquetFiles(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => name.endsWith('.parquet')).toSorted()
  return names.map((name) => join(path, name))
}

async function readRows(path: string): Promise<ExportedRow[]> {
  try {
    const file = await asyncBufferFromFile(path)
    const { children } = parquetSchema(await parquetMetadataAsync(file))
    const missing = COLUMNS.filter((name) => !children.some(({ element }) => element.name === name))
    if (missing.length > 0) {
      throw new RangeError(`the column ${missing[0]} is missing; export with one row for each window`)
    }
    return (await parquetReadObjects({ file, columns: [...COLUMNS] })) as unknown as ExportedRow[]
  } catch (cause) {
    throw new PlateauError('EXPORT_INVALID', `${path} cannot be used: ${messageOf(cause)}`, { facts: { path }, cause })
  }
}

function joined(rows: readonly ExportedRow[]): ExportedResponse[] {
  const responses: { first: ExportedRow; next: number; tokenIds: number[] }[] = []
  for (const row of rows) {
    const last = responses.at(-1)
    if (last?.first.sample_id === row.sample_id && last.next === row.start_position) {
      last.tokenIds.push(...row.token_ids)
      last.next += row.token_ids.length
    } else {
      const next = row.start_position + row.token_ids.length
      responses.push({ first: row, next, tokenIds: [...row.token_ids] })
    }
  }
  return responses.map(({ first, tokenIds }) => ({
    // Pieces of one response with a gap between them have names of their own.
    sampleId: `${first.sample_id}@${first.start_position}`,
    domain: first.domain,
    isForEvaluation: first.arm === 'evaluation',
    tokenIds,
  }))
}
