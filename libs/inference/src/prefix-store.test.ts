import { expect, it } from 'vitest'
import { kvRowBytes } from './kv-arena.js'
import { PrefixStore } from './prefix-store.js'

const shape = { layers: 1, kvHeads: 1, headDim: 2 }
const blockBytes = 16 * kvRowBytes(shape)
const tokens = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)
const any = () => true

function add(store: PrefixStore, of: readonly number[], free = Infinity, scope = ''): void {
  store.add(
    scope,
    of,
    free,
    (index, into) => into.fill(of[index * 16]!),
    () => undefined,
  )
}

const found = (store: PrefixStore, of: readonly number[], scope = '') =>
  store.find(scope, of, any).map(({ data }) => data[0])

it('finds the whole blocks that a text begins with, and no block that another beginning leads to', () => {
  const store = new PrefixStore(shape, 100 * blockBytes)
  add(store, tokens(50))
  expect(found(store, tokens(50))).toEqual([0, 16, 32])
  expect(found(store, [...tokens(40), ...tokens(20, 900)])).toEqual([0, 16])
  expect(found(store, tokens(34, 16))).toEqual([])
  expect(found(store, tokens(15))).toEqual([])
})

it('stays within its bound and what is free, and forgets what was used longest ago, ends before beginnings', () => {
  const store = new PrefixStore(shape, 6 * blockBytes)
  add(store, tokens(48))
  add(store, tokens(48, 1000))
  expect(store.bytes).toBe(6 * blockBytes)
  found(store, tokens(48))
  add(store, tokens(32, 2000))
  expect(store.bytes).toBe(6 * blockBytes)
  expect(found(store, tokens(48))).toEqual([0, 16, 32])
  expect(found(store, tokens(48, 1000))).toEqual([1000])
  expect(found(store, tokens(32, 2000))).toEqual([2000, 2016])
  add(store, tokens(64, 3000), 0)
  expect(found(store, tokens(64, 3000)).length).toBeGreaterThan(0)
  expect(store.bytes).toBeLessThanOrEqual(6 * blockBytes)
  let freed = 0
  for (let bytes = store.evictOldest(); bytes > 0; bytes = store.evictOldest()) freed += bytes
  expect([freed % blockBytes, store.bytes]).toEqual([0, 0])
})

it('a text longer than its bound keeps its beginning', () => {
  const store = new PrefixStore(shape, 2 * blockBytes)
  add(store, tokens(100))
  expect(found(store, tokens(100))).toEqual([0, 16])
})

it('hidden states that become known are added to what is there', () => {
  const store = new PrefixStore(shape, 100 * blockBytes)
  add(store, tokens(16))
  expect(store.find('', tokens(16), ({ features }) => features !== undefined)).toEqual([])
  store.add(
    '',
    tokens(16),
    Infinity,
    () => expect.fail('known already'),
    () => Float32Array.of(1, 2, 3),
  )
  expect(store.find('', tokens(16), any)[0]!.features).toEqual(Float32Array.of(1, 2, 3))
  expect(store.bytes).toBe(blockBytes + 12)
})

it('nothing of one scope is found in another, nor under a name that is made to look like it', () => {
  const store = new PrefixStore(shape, 100 * blockBytes)
  add(store, tokens(48), Infinity, 'acme')
  expect(found(store, tokens(48), 'acme')).toEqual([0, 16, 32])
  for (const scope of ['', 'acm', 'acme:', `acme:${tokens(16).join()}`, '0/acme'])
    expect(found(store, tokens(48), scope)).toEqual([])
  add(store, tokens(48), Infinity, 'other')
  expect(store.bytes).toBe(6 * blockBytes)
})
