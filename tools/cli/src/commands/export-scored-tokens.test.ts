import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Arm, Decision, frameConfluent, topics } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { expect, test } from 'vitest'
import { parseFileName } from '../export/file-names.js'
import { dataFiles, readExport } from '../testing/read-export.js'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory, temporaryLog } from '../testing/temporary-log.js'
import { until } from '../testing/until.js'
import { scoredRecord, scoredWindow } from '../testing/windows.js'

const TOPIC = topics.scoredTokens.name

async function send(log: EventLog, ...names: string[]): Promise<void> {
  await log.producer().send(
    TOPIC,
    names.map((name) => scoredRecord(scoredWindow(name))),
  )
}

const exported = (url: string, directory: string, ...args: string[]) =>
  plateau(['export', 'scored-tokens', '--to', directory, '--event-log', url, ...args])
const samples = async (directory: string) =>
  (await readExport(directory)).map((row) => String(row['sample_id'])).toSorted()

test('a window comes back with every number, its provenance and its place', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  const window = scoredWindow('a', { last: true })
  const [at] = await log.producer().send(TOPIC, [scoredRecord(window)])
  expect(await exported(url, directory)).toMatchObject({ code: 0, out: expect.stringContaining('1 windows, 1 rows') })
  expect(await readExport(directory)).toEqual([
    {
      sample_id: 'a',
      window_index: 2,
      start_position: 128,
      token_ids: [11, 12, 13],
      input_ids: [11, 12, 13],
      loss_mask: [1, 1, 1],
      gradient_weights: [1, 1, 1],
      flatness: window.flatness,
      flatness_low: window.flatnessLow,
      flatness_high: window.flatnessHigh,
      entropy: window.entropy,
      top1: window.top1,
      margin: window.margin,
      energy: window.energy,
      // How hyparquet reads a list that is null.
      draft_overlap: undefined,
      draft_gain: undefined,
      draft_entropy: undefined,
      token_log_prob: undefined,
      decision: 'keep',
      arm: 'selected',
      score: 0.25,
      threshold: 0.1875,
      perplexity: 3.5,
      policy: 'flatness(keep=0.5)',
      kept_by: undefined,
      last: true,
      tenant: 'acme',
      domain: 'code',
      vocab_size: 50_000,
      captured_at: new Date(window.capturedAtMs),
      scored_at: new Date(window.scoredAtMs),
      schema_version: 1,
      target_fingerprint: 'f'.repeat(64),
      tokenizer_hash: 'a'.repeat(64),
      draft_version: '7',
      source_partition: 1,
      source_offset: 77n,
      partition: at!.partition,
      offset: BigInt(at!.offset),
      ce_id: 'scored:a:2',
    },
  ])
})

test('a row for each token has the same numbers one by one', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  const window = scoredWindow('a', { draftOverlap: [Number.NaN, 0.5, 0.75] })
  await log.producer().send(TOPIC, [scoredRecord(window)])
  expect(await exported(url, directory, '--rows', 'tokens')).toMatchObject({ code: 0 })
  const rows = await readExport(directory)
  expect(rows.map((row) => row['position'])).toEqual([128, 129, 130])
  expect(rows.map((row) => row['token_id'])).toEqual(window.tokenIds)
  expect(rows.map((row) => row['flatness'])).toEqual(window.flatness)
  expect(rows.map((row) => row['draft_overlap'])).toEqual([null, 0.5, 0.75])
  expect(rows.map((row) => row['ce_id'])).toEqual(['scored:a:2', 'scored:a:2', 'scored:a:2'])
})

test('what the draft did, what each token counts and which trials would have kept a window are in both kinds of rows', async () => {
  const { log, url } = await temporaryLog()
  const [windows, tokens] = [temporaryDirectory(), temporaryDirectory()]
  const numbers = {
    draftOverlap: [Number.NaN, 0.5, 0.75],
    draftGain: [Number.NaN, 0.25, -0.125],
    draftEntropy: [Number.NaN, 1.5, 2],
    tokenLogProb: [-1, -2, -0.5],
    gradientWeights: [0, 2.5, 0],
  }
  const keptBy = ['random(keep=0.5)', 'draft-gap(keep=0.5)']
  await log.producer().send(TOPIC, [scoredRecord(scoredWindow('a', { ...numbers, keptBy }))])
  await exported(url, windows)
  await exported(url, tokens, '--rows', 'tokens')
  expect(await readExport(windows)).toMatchObject([
    {
      draft_gain: numbers.draftGain,
      draft_entropy: numbers.draftEntropy,
      token_log_prob: numbers.tokenLogProb,
      gradient_weights: numbers.gradientWeights,
      loss_mask: [0, 1, 0],
      kept_by: keptBy,
    },
  ])
  const rows = await readExport(tokens)
  expect(rows.map((row) => row['draft_gain'])).toEqual([null, 0.25, -0.125])
  expect(rows.map((row) => row['gradient_weights'])).toEqual([0, 2.5, 0])
  expect(rows.map((row) => row['loss_mask'])).toEqual([0, 1, 0])
  expect(rows.map((row) => row['kept_by'])).toEqual([keptBy, keptBy, keptBy])
})

test('only what is kept is unmasked, and never what drafts are evaluated on', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  const windows = [
    scoredWindow('keep'),
    scoredWindow('drop', { decision: Decision.DECISION_DROP }),
    scoredWindow('held-out', { arm: Arm.ARM_EVALUATION }),
    scoredWindow('warm-up', { arm: Arm.ARM_CONTROL, threshold: Number.NaN }),
  ]
  await log.producer().send(
    TOPIC,
    windows.map((window) => scoredRecord(window)),
  )
  await exported(url, directory)
  const bySample = Object.fromEntries((await readExport(directory)).map((row) => [row['sample_id'], row]))
  expect(bySample['keep']).toMatchObject({ loss_mask: [1, 1, 1] })
  expect(bySample['drop']).toMatchObject({ loss_mask: [0, 0, 0], gradient_weights: [0, 0, 0], decision: 'drop' })
  expect(bySample['held-out']).toMatchObject({ loss_mask: [0, 0, 0], arm: 'evaluation' })
  expect(bySample['warm-up']).toMatchObject({ loss_mask: [1, 1, 1], arm: 'control', threshold: null })
})

test('a second run writes only what is new; together the files cover every offset once', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  await send(log, 'a', 'b', 'c', 'd', 'e')
  await exported(url, directory, '--rows-per-file', '2')
  const before = dataFiles(directory)
  await send(log, 'f', 'g')
  expect(await exported(url, directory)).toMatchObject({ code: 0, out: expect.stringContaining('2 windows') })
  expect(await exported(url, directory)).toMatchObject({ code: 0, out: expect.stringContaining('0 windows') })
  expect(dataFiles(directory)).toEqual(expect.arrayContaining(before))
  expect(await samples(directory)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'])

  for (const { partition, next } of await log.offsets(TOPIC)) {
    const files = dataFiles(directory).map((name) => parseFileName(name)!)
    const covered = files
      .filter((file) => file.partition === partition)
      .flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
    expect(covered).toEqual(Array.from({ length: next }, (_, offset) => offset))
  }
})

test('a window that the topic holds twice is written once, in one run and across runs', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  await send(log, 'a', 'b', 'a')
  const first = await exported(url, directory)
  expect(first.out).toContain('1 redelivered windows were left out')
  await send(log, 'b', 'c', 'a')
  const second = await exported(url, directory)
  expect(second.out).toContain('2 redelivered windows were left out')
  expect(await samples(directory)).toEqual(['a', 'b', 'c'])
})

test('records that are no scored window are named and passed over; values framed for a registry are read', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  const framed = scoredRecord(scoredWindow('framed'))
  const future = scoredWindow('future')
  const bad = [
    { ...scoredRecord(scoredWindow('cut')), value: Buffer.from([10, 99]) },
    { ...scoredRecord(scoredWindow('anonymous')), headers: {} },
    scoredRecord({ ...future, provenance: { ...future.provenance!, schemaVersion: 2 } }),
    scoredRecord(scoredWindow('uneven', { flatness: [1] })),
  ]
  await log.producer().send(TOPIC, [...bad, { ...framed, value: frameConfluent(7, 3, framed.value!) }])
  const outcome = await exported(url, directory, '--json')
  expect(outcome.json()).toMatchObject({ windows: 1, skipped: 4, files: 1 })
  for (const code of ['UNDECODABLE', 'HEADERS_MISSING', 'SCHEMA_UNKNOWN', 'LENGTH_MISMATCH']) {
    expect(outcome.err).toMatch(new RegExp(`^skipped \\d:\\d: .*\\(${code}\\)$`, 'm'))
  }
  expect(await samples(directory)).toEqual(['framed'])
})

test('an export can begin at the end or at a time, and holds to it', async () => {
  const { log, url } = await temporaryLog()
  const [fromLatest, fromTime] = [temporaryDirectory(), temporaryDirectory()]
  const old = { ...scoredRecord(scoredWindow('old')), timestampMs: Date.parse('2026-03-01T00:00Z') }
  await log.producer().send(TOPIC, [old])
  await exported(url, fromLatest, '--from', 'latest')
  await send(log, 'new')
  // The directory remembers where it began.
  await exported(url, fromLatest)
  await exported(url, fromTime, '--from', '2026-03-02T00:00Z')
  expect(await samples(fromLatest)).toEqual(['new'])
  expect(await samples(fromTime)).toEqual(['new'])
  expect(await exported(url, fromTime, '--from', 'yesterday')).toMatchObject({ code: 2 })
})

test('following writes a row within its time, until it is interrupted; the group shows how far it is', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  const interruption = new AbortController()
  const args = ['export', 'scored-tokens', '--to', directory, '--event-log', url]
  const following = plateau([...args, '--until', 'follow', '--file-seconds', '1', '--group', 'theirs'], {
    signal: interruption.signal,
  })
  await send(log, 'a')
  await until('a is in a file', () => dataFiles(directory).length === 1)
  await send(log, 'b')
  await until('b is in a file', () => dataFiles(directory).length === 2)
  await until('the group is at the end', async () => {
    const { json } = await plateau(['lag', '--group', 'theirs', '--topic', TOPIC, '--json', '--event-log', url])
    const rows = json<{ committed?: number; end: number }[]>()
    return rows.every(({ committed, end }) => (committed ?? 0) === end)
  })
  await send(log, 'c')
  interruption.abort()
  expect(await following).toMatchObject({ code: 0 })
  await exported(url, directory)
  expect(await samples(directory)).toEqual(['a', 'b', 'c'])
})

test('a directory that is something else, of other rows or from another log is refused', async () => {
  const { log, url } = await temporaryLog()
  await send(log, 'a', 'b')
  const foreign = temporaryDirectory()
  writeFileSync(join(foreign, 'thesis.tex'), 'x')
  expect(await exported(url, foreign)).toMatchObject({ code: 1, err: expect.stringContaining('holds other files') })
  expect(readdirSync(foreign)).toEqual(['thesis.tex'])

  const directory = join(temporaryDirectory(), 'made', 'when', 'missing')
  await exported(url, directory)
  const tokens = await exported(url, directory, '--rows', 'tokens')
  expect(tokens).toMatchObject({ code: 2, err: expect.stringContaining('give --rows windows or another DIR') })

  const { url: otherLog } = await temporaryLog()
  expect(await exported(otherLog, directory)).toMatchObject({
    code: 1,
    err: expect.stringContaining('from another log'),
  })
  expect(await samples(directory)).toEqual(['a', 'b'])
})

test('two exports do not write to one directory', async () => {
  const { url } = await temporaryLog()
  const directory = temporaryDirectory()
  const interruption = new AbortController()
  const args = ['export', 'scored-tokens', '--to', directory, '--event-log', url]
  const first = plateau([...args, '--until', 'follow'], { signal: interruption.signal })
  await until('it has begun', () => readdirSync(directory).includes('_export.json'))
  expect(await exported(url, directory)).toMatchObject({
    code: 1,
    err: expect.stringContaining('another export is writing to'),
  })
  interruption.abort()
  expect(await first).toMatchObject({ code: 0 })
  expect(await exported(url, directory)).toMatchObject({ code: 0 })
})

test('the directory says what it holds', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  await send(log, 'a')
  await exported(url, directory)
  const manifest = JSON.parse(readFileSync(join(directory, '_export.json'), 'utf8')) as { columns: { name: string }[] }
  expect(manifest).toMatchObject({ topic: TOPIC, rows: 'windows', eventLog: url, from: 'earliest' })
  expect(manifest.columns.map(({ name }) => name)).toEqual(Object.keys((await readExport(directory))[0]!))
  const readme = readFileSync(join(directory, '_README.md'), 'utf8')
  for (const { name } of manifest.columns) expect(readme).toContain(`| ${name} |`)
})

test('what a killed run left half written is removed and read by nobody', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  await send(log, 'a')
  await exported(url, directory)
  const left = `.writing-${dataFiles(directory)[0]!.replace(/-0{12}-\d+/, '-000000000001-000000000009')}`
  writeFileSync(join(directory, left), 'PAR1')
  await send(log, 'b')
  expect(await exported(url, directory)).toMatchObject({ code: 0 })
  expect(readdirSync(directory)).not.toContain(left)
  expect(await samples(directory)).toEqual(['a', 'b'])
})

test('files that cover the same offsets are not built upon', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  await send(log, 'a')
  await exported(url, directory)
  const [name] = dataFiles(directory)
  writeFileSync(join(directory, name!.replace(/-(\d+)\.parquet/, '-000000000009.parquet')), 'x')
  expect(await exported(url, directory)).toMatchObject({
    code: 1,
    err: expect.stringContaining('cover the same offsets'),
  })
})
