import { parquetWriteBuffer } from 'hyparquet-writer'
import type { CellType, Column } from './columns.js'

type SchemaElement = NonNullable<Parameters<typeof parquetWriteBuffer>[0]['schema']>[number]

/** A whole Parquet file (Snappy, lists in the three-level form that all readers know) in memory. */
export function parquetFile<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  facts: Readonly<Record<string, string>>,
): Uint8Array {
  const buffer = parquetWriteBuffer({
    schema: [{ name: 'schema', num_children: columns.length }, ...columns.flatMap(elements)],
    columnData: columns.map((column) => ({ name: column.name, data: rows.map((row) => column.of(row)) })),
    kvMetadata: Object.entries(facts).map(([key, value]) => ({ key, value })),
    createdBy: 'plateau export',
  })
  return new Uint8Array(buffer)
}

function elements({ name, type, isList }: Column<never>): SchemaElement[] {
  if (!isList) return [{ name, repetition_type: 'OPTIONAL', ...primitive[type] }]
  return [
    { name, repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'REQUIRED', ...primitive[type] },
  ]
}

const primitive: Readonly<Record<CellType, Omit<SchemaElement, 'name'>>> = {
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  bool: { type: 'BOOLEAN' },
  int32: { type: 'INT32' },
  int64: { type: 'INT64' },
  float: { type: 'FLOAT' },
  timestamp: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MILLIS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
  },
}
