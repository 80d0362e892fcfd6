import { resolve } from 'node:path'
import { PlateauError, topics } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { command, type Context } from '../command.js'
import { rowKinds, type RowKind } from '../export/columns.js'
import { ExportDirectory, type Manifest } from '../export/export-directory.js'
import { exportScoredTokens, type ExportResult } from '../export/export-scored-tokens.js'
import { readmeText } from '../export/readme.js'
import { defaulted, oneOf, required, text, value, wholeNumber } from '../option.js'
import { UsageError } from '../usage-error.js'

type From = 'earliest' | 'latest' | { readonly sinceMs: number }

export const exportScoredTokensCommand = command({
  name: 'export scored-tokens',
  summary: 'write scored-tokens as Parquet files, each window once, and go on where the last run ended',
  details: `
Files are named by partition and the offsets they cover, and appear whole. A run that finds files goes
on after the highest one of each partition; --from is for partitions that have none. A window that the
topic holds twice (same ce_id, among the newest 100 000 of its partition, in its newest 500 files) is
written once. _README.md in the directory explains the columns; input_ids and loss_mask are what
trainers read.
With --until follow it goes on until Ctrl-C, and a row waits at most --file-seconds for its file.
Exit code 1 when it was interrupted before the end (the next run goes on).`,
  options: {
    to: required('DIR', 'where the files go; created when missing', text),
    from: defaulted('WHEN', 'earliest, latest or a time such as 2026-03-01T00:00Z', parseFrom, 'earliest'),
    until: defaulted('WHEN', 'now or follow', oneOf('now', 'follow'), 'now'),
    rows: defaulted(
      'KIND',
      'windows (one row each, lists inside) or tokens (one row each)',
      oneOf('windows', 'tokens'),
      'windows',
    ),
    'rows-per-file': defaulted('N', 'a file ends with the window that fills it', wholeNumber(1), '50000'),
    'file-seconds': defaulted('N', 'with --until follow', wholeNumber(1), '60'),
    group: value('NAME', 'write progress down as this consumer group, so that `plateau lag` shows it', text),
  },
  run: async (context, options) => {
    const log = await context.openLog()
    const kind = rowKinds[options.rows]
    const path = resolve(options.to)
    const directory = await ExportDirectory.open(path, () => begin(log, context, kind, options.from))
    try {
      checkKind(directory, kind)
      const result = await exportScoredTokens(log, directory, {
        kind,
        rowsPerFile: options['rows-per-file'],
        follow: options.until === 'follow',
        fileAgeMs: options['file-seconds'] * 1000,
        sinceMs: sinceOf(directory.manifest),
        group: options.group,
        now: context.now,
        signal: context.signal,
        say: (line) => context.say(line),
      })
      context.report({ json: { directory: path, ...result }, text: summary(path, result) })
      return result.isComplete ? 0 : 1
    } finally {
      directory.close()
    }
  },
})

async function begin(log: EventLog, context: Context, kind: RowKind, from: From) {
  const ranges = await log.offsets(topics.scoredTokens.name)
  const starts = ranges.map(({ partition, earliest, next }) => [partition, from === 'latest' ? next : earliest])
  const manifest: Manifest = {
    format: 1,
    topic: topics.scoredTokens.name,
    messageType: topics.scoredTokens.messageType,
    rows: kind.name,
    eventLog: context.logUrl,
    begunAt: new Date(context.now()).toISOString(),
    from: typeof from === 'string' ? from : new Date(from.sinceMs).toISOString(),
    starts: Object.fromEntries(starts) as Record<string, number>,
    columns: kind.columns.map(({ name, type, isList, meaning }) => ({
      name,
      type: isList ? `list<${type}>` : type,
      meaning,
    })),
  }
  return { manifest, readme: readmeText(manifest) }
}

/** What the directory was begun with holds for every partition, also one that has no file yet. */
function sinceOf({ from }: Manifest): number | undefined {
  const parsed = parseFrom(from)
  return typeof parsed === 'string' ? undefined : parsed.sinceMs
}

function checkKind({ path, manifest }: ExportDirectory, kind: RowKind): void {
  if (manifest.topic !== topics.scoredTokens.name) {
    throw new PlateauError('EXPORT_DIRECTORY', `${path} holds an export of ${manifest.topic}`)
  }
  if (manifest.rows !== kind.name) {
    throw new UsageError(
      `${path} holds one row for each of the ${manifest.rows}; give --rows ${manifest.rows} or another DIR`,
    )
  }
  // Files of one directory are read as one table.
  const names = (columns: readonly { readonly name: string }[]) => columns.map(({ name }) => name).join(', ')
  if (names(manifest.columns) !== names(kind.columns)) {
    throw new PlateauError('EXPORT_DIRECTORY', `${path} was begun with other columns (${names(manifest.columns)})`)
  }
}

function parseFrom(given: string): From {
  if (given === 'earliest' || given === 'latest') return given
  const sinceMs = /^\d{4}-\d{2}-\d{2}/.test(given) ? Date.parse(given) : Number.NaN
  if (Number.isNaN(sinceMs)) throw new TypeError('earliest, latest or a time such as 2026-03-01T00:00Z')
  return { sinceMs }
}

function summary(path: string, result: ExportResult): string {
  const lines = [`${result.windows} windows, ${result.rows} rows in ${result.files} new files in ${path}`]
  if (result.duplicates > 0) lines.push(`${result.duplicates} redelivered windows were left out`)
  if (result.skipped > 0) lines.push(`${result.skipped} records could not be written down`)
  if (result.expired > 0) lines.push(`${result.expired} records had expired before they were exported`)
  if (!result.isComplete) lines.push('interrupted before the end; run it again to go on')
  return `${lines.join('\n')}\n`
}
