import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const copies: string[] = []

afterEach(() => {
  for (const copy of copies.splice(0)) rmSync(copy, { recursive: true, force: true })
})

/** What the check's `buf breaking` says of a change to ScoredWindow: its exit status and its complaints. */
function judge(before: string | RegExp, after: string): { status: number | null; said: string } {
  const copy = mkdtempSync(join(tmpdir(), 'plateau-breaking-'))
  copies.push(copy)
  cpSync(join(root, 'proto'), copy, { recursive: true })
  const file = join(copy, 'plateau/stream/v1/window.proto')
  const text = readFileSync(file, 'utf8')
  const start = text.indexOf('message ScoredWindow')
  const changed = text.slice(0, start) + text.slice(start).replace(before, after)
  if (changed === text) throw new Error(`there is no ${String(before)} to change`)
  writeFileSync(file, changed)
  const buf = join(root, 'node_modules/.bin/buf')
  const result = spawnSync(buf, ['breaking', copy, '--against', join(root, 'proto/baseline.binpb')], {
    encoding: 'utf8',
  })
  return { status: result.status, said: result.stdout + result.stderr }
}

test('a change that readers of the published contract would not survive is refused', () => {
  const breaking: [string, string, RegExp, string, RegExp][] = [
    [
      'another type',
      'perplexity',
      /float perplexity = 20/,
      'string perplexity = 20',
      /changed type from "float" to "string"/,
    ],
    ['another width', 'captured_at_ms', /int64 captured_at_ms = 8/, 'int32 captured_at_ms = 8', /changed type/],
    ['another number', 'score', /float score = 21/, 'float score = 121', /deleted|changed/],
    ['another name', 'score', /float score = 21/, 'float rating = 21', /changed name|json name/i],
    ['one instead of many', 'entropy', /repeated float entropy = 15/, 'float entropy = 15', /cardinality|label/i],
    ['a field gone, its number free', 'policy', /string policy = 25;/, '', /deleted/],
  ]
  for (const [what, field, before, after, complaint] of breaking) {
    const { status, said } = judge(before, after)
    expect({ what, refused: status !== 0 && status !== null }).toEqual({ what, refused: true })
    expect(said).toMatch(complaint)
    expect(said).toContain(field)
  }
})

test('what evolution allows is accepted: a new field, a new enum value, a field retired with number and name', () => {
  const allowed: [RegExp, string][] = [
    [/int64 source_offset = 27;/, 'int64 source_offset = 27;\n  float surprise = 100;'],
    [/string policy = 25;/, 'reserved 25;\n  reserved "policy";'],
    [/message TrainingWindow/, 'enum Mood {\n  MOOD_UNSPECIFIED = 0;\n}\n\nmessage TrainingWindow'],
  ]
  for (const [before, after] of allowed) expect(judge(before, after)).toMatchObject({ status: 0, said: '' })
})
