import type { Manifest } from './export-directory.js'

/** What a person who finds the directory reads first. */
export function readmeText(manifest: Manifest): string {
  const { topic, messageType, rows, eventLog, begunAt, columns } = manifest
  return `# ${topic} as Parquet

Written by \`plateau export scored-tokens --rows ${rows}\` from ${eventLog}, begun ${begunAt}.
One row for each ${rows === 'windows' ? 'window (a run of tokens of one response)' : 'token'}; message ${messageType}.
Each fact (\`ce_id\`) is here once. \`scored-tokens-p0-000000000000-000000000123.parquet\` covers partition 0, offsets 0 to 123.
A file is complete when it has its name; names that begin with \`.\` are not data. The same command goes on where it ended.

| column | type | meaning |
|---|---|---|
${columns.map(({ name, type, meaning }) => `| ${name} | ${type} | ${meaning} |`).join('\n')}

${reading[rows as 'windows' | 'tokens']}`
}

const reading = {
  windows: `\`\`\`python
import pandas, duckdb
pandas.read_parquet("DIR")
# The rows that a trainer of the speculators kind takes: one for each response, its windows in order.
duckdb.sql("""
  select sample_id, flatten(list(input_ids order by window_index)) as input_ids,
         flatten(list(loss_mask order by window_index)) as loss_mask
  from 'DIR/*.parquet' where arm <> 'evaluation' group by sample_id
""")
\`\`\`

The prompt is not in this topic: \`input_ids\` holds response tokens only, and a response of which windows were shed or
have expired has holes (compare \`start_position\`).
`,
  tokens: `\`\`\`python
import pandas, duckdb
pandas.read_parquet("DIR")
duckdb.sql("select decision, avg(flatness), avg(entropy) from 'DIR/*.parquet' group by decision")
\`\`\`
`,
} as const
