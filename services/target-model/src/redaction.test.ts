import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PlateauError, TokenWindow } from '@plateau/contracts'
import { loadTokenizer } from '@plateau/model-files'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRedaction, placeOf, redact, type Redaction } from './redaction.js'

const model = new URL('../../../models/tiny-target', import.meta.url).pathname
const example = new URL('../../../examples/redaction/drop-contacts.mjs', import.meta.url).pathname
const tools = { text: (ids: readonly number[]) => String.fromCharCode(...ids) }
const captured = TokenWindow.fromPartial({
  sampleId: 's',
  windowIndex: 3,
  tokenIds: [104, 105],
  draftOverlap: [NaN, 1],
})
const bytes = TokenWindow.encode(captured).finish()
const apply = (redaction: unknown) => redact(bytes, redaction as Redaction, tools)

describe('a redaction', () => {
  it('sees the window and its text', () => {
    const seen: unknown[] = []
    apply((window: TokenWindow, { text }: typeof tools) => void seen.push(window, text(window.tokenIds)))
    expect(seen).toEqual([captured, 'hi'])
  })

  it('keeps, drops or changes a window', () => {
    expect(apply((window: TokenWindow) => window)).toEqual({ kind: 'kept' })
    expect(apply(() => undefined)).toEqual({ kind: 'dropped' })
    const changed = apply((window: TokenWindow) => ({ ...window, tenant: '', domain: 'x' }))
    expect(changed.kind === 'changed' && TokenWindow.decode(changed.value).domain).toBe('x')
  })

  it('may change a window in place', () => {
    const changed = apply((window: TokenWindow) => {
      window.tokenIds[0] = 0
      return window
    })
    expect(changed.kind === 'changed' && TokenWindow.decode(changed.value).tokenIds).toEqual([0, 105])
  })

  it.each<[string, unknown]>([
    ['throws', () => expect.unreachable()],
    ['returns no window', () => 'window'],
    ['returns null', () => null],
    ['returns a promise', async () => undefined],
    ['returns a promise that fails', () => Promise.reject(new Error('later'))],
    ['returns what cannot be written', (window: TokenWindow) => ({ ...window, tokenIds: ['x', {}] })],
    ['moves the window to another sample', (window: TokenWindow) => ({ ...window, sampleId: 'other' })],
    ['moves the window in its sample', (window: TokenWindow) => ({ ...window, windowIndex: 0 })],
  ])('fails, and publishes nothing, when it %s', (_, redaction) => {
    expect(apply(redaction).kind).toBe('failed')
  })

  it('that fails is placed without its message, which may quote the text', () => {
    const failed = apply(() => {
      throw new RangeError('card 4111\n    at home')
    })
    const place = placeOf(failed.kind === 'failed' && failed.error)
    expect(place.name).toBe('RangeError')
    expect(place.at).toMatch(/redaction\.test\.ts:\d+/)
    expect(JSON.stringify(place)).not.toMatch(/4111|home/)
    expect(placeOf('card 4111')).toEqual({ name: 'string', at: undefined })
  })
})

describe('a redaction module', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'redaction-'))
  })
  afterAll(() => rm(directory, { recursive: true }))

  it.each([
    ['has none', 'export const redact = () => undefined'],
    ['has object there', 'export default {}'],
    ['has an async function there', 'export default async (window) => window'],
    ['cannot be loaded', 'export default ('],
    ['cannot be loaded', 'throw new Error("no")'],
  ])('is refused at start when it %s: %s', async (sentence, source) => {
    const path = join(directory, `${Buffer.from(source).toString('hex').slice(-40)}.mjs`)
    await writeFile(path, source)
    const error = await openRedaction(path, model).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(PlateauError)
    expect(error).toMatchObject({ code: 'REDACTION_MODULE_INVALID', facts: { path } })
    expect(String(error)).toContain(sentence)
  })
})

describe('examples/redaction/drop-contacts.mjs', () => {
  it.each([
    ['write to Ann.Lee+news@mail.example.org today', 'dropped'],
    ['write to søren@bücher.example', 'dropped'],
    ['card 4111 1111 1111 1111, please', 'dropped'],
    ['card 5500-0000-0000-0004', 'dropped'],
    ['378282246310005', 'dropped'],
    ['4111 1111 1111 1112 is no card: its sum is off', 'kept'],
    ['twelve digits 411111111111', 'kept'],
    ['an @ sign alone, and user@host', 'kept'],
    ['Mr. Speaker, 1234 5678', 'kept'],
  ])('%s: %s', async (text, kind) => {
    const tokenizer = await loadTokenizer(model)
    const redaction = await openRedaction(example, model)
    const tokenIds = tokenizer.encode(text)
    expect(redaction(TokenWindow.encode(TokenWindow.fromPartial({ sampleId: 's', tokenIds })).finish())).toEqual({
      kind,
    })
  })

  it('passes over ids that the tokenizer does not have', async () => {
    const redaction = await openRedaction(example, model)
    const window = TokenWindow.fromPartial({ sampleId: 's', tokenIds: [1_000_000] })
    expect(redaction(TokenWindow.encode(window).finish())).toEqual({ kind: 'kept' })
  })
})
