import { describe, expect, test } from 'vitest'
import { addRows, emptySums, mergeSums, type RidgeSums } from './ridge-sums.js'
import { OTHER_DOMAIN, SumBank, SumBankFullError, sumsBytes, type SumBankOptions, type SumKey } from './sum-bank.js'

const options: SumBankOptions = { inputs: 3, outputs: 2, halfLifePositions: 2000, maxCells: 8 }

interface Window {
  readonly key: SumKey
  readonly rows: number
  readonly seed: number
}

function rows({ rows: n, seed }: Window): { x: Float32Array; y: Float32Array; weights: Float32Array } {
  const value = (i: number): number => Math.sin(seed * 12.9898 + i * 78.233)
  return {
    x: Float32Array.from({ length: 3 * n }, (_, i) => value(i)),
    y: Float32Array.from({ length: 2 * n }, (_, i) => value(i + 0.5)),
    weights: Float32Array.from({ length: n }, (_, i) => 1 + value(i) ** 2),
  }
}

function see(bank: SumBank, window: Window): void {
  const { x, y, weights } = rows(window)
  addRows(bank.sumsOf(window.key), x, y, weights)
  bank.advance(window.rows)
}

function bankOf(windows: readonly Window[], changes: Partial<SumBankOptions> = {}): SumBank {
  const bank = new SumBank({ ...options, ...changes })
  for (const window of windows) see(bank, window)
  return bank
}

const acme = { tenant: 'acme' }
const windows: Window[] = [
  { key: { domain: 'chat' }, rows: 300, seed: 1 },
  { key: { domain: 'code', ...acme }, rows: 700, seed: 2 },
  { key: { domain: 'code' }, rows: 500, seed: 3 },
  { key: { domain: 'chat', ...acme }, rows: 40, seed: 4 },
  { key: { domain: 'chat', tenant: 'blue' }, rows: 900, seed: 5 },
  { key: { domain: 'chat' }, rows: 600, seed: 6 },
]

/** Of sums whose numbers are of the size of their weight. */
function worst(a: RidgeSums, b: RidgeSums): number {
  const lower = ({ gram, inputs }: RidgeSums) => gram.filter((_, at) => at % inputs <= Math.floor(at / inputs))
  const pairs = [
    [lower(a), lower(b)],
    [a.moment, b.moment],
    [Float64Array.of(a.weight), Float64Array.of(b.weight)],
  ] as const
  const differences = pairs.flatMap(([left, right]) => Array.from(left, (value, i) => Math.abs(value - right[i]!)))
  return Math.max(...differences) / Math.max(1, b.weight)
}

/** The definition: every row by its own age in steps of 512 positions. */
function plainTotal(seen: readonly Window[], counts: (key: SumKey) => boolean = () => true): RidgeSums {
  const now = seen.reduce((sum, window) => sum + window.rows, 0)
  const sums = emptySums(3, 2)
  let at = 0
  for (const window of seen) {
    const age = Math.floor(now / 512) - Math.floor(at / 512)
    const { x, y, weights } = rows(window)
    const decayed = weights.map((w) => w * 0.5 ** ((age * 512) / options.halfLifePositions))
    if (counts(window.key)) addRows(sums, x, y, decayed)
    at += window.rows
  }
  return sums
}

describe('a bank of sums', () => {
  test('adds up to every row weighed by its age, in whichever cell it is', () => {
    expect(worst(bankOf(windows).total(), plainTotal(windows))).toBeLessThan(1e-6)
  })

  test('a tenant that is forgotten leaves what never having seen it would have left', () => {
    const never = new SumBank(options)
    for (const window of windows) {
      if (window.key.tenant === 'acme') never.advance(window.rows)
      else see(never, window)
    }
    const bank = bankOf(windows)
    const before = bank.total()
    expect(bank.forget('acme')).toBe(true)
    expect(worst(bank.total(), never.total())).toBeLessThan(1e-14)
    expect(worst(before, never.total())).toBeGreaterThan(0.1)
    expect(bank.shares.some(({ key }) => key.tenant === 'acme')).toBe(false)
    expect(bank.forget('acme')).toBe(false)
    // And whatever comes after.
    for (const window of windows.slice(2, 3)) for (const each of [bank, never]) see(each, { ...window, seed: 77 })
    expect(worst(bank.total(), never.total())).toBeLessThan(1e-14)
  })

  test('also after folding, being written down, and merging with what another worker saw', () => {
    const parts = [
      windows.slice(0, 3),
      [...windows.slice(3), { key: { domain: 'maths', ...acme }, rows: 100, seed: 9 }],
    ] as const
    const never = parts.map((part) => {
      const bank = new SumBank(options)
      for (const window of part) {
        if (window.key.tenant === 'acme') bank.advance(window.rows)
        else see(bank, window)
      }
      return bank
    })
    const banks = parts.map((part) => SumBank.of(bankOf(part, { maxCells: 3 }).state))
    const merged = (of: readonly SumBank[]): RidgeSums => {
      const sums = emptySums(3, 2)
      for (const bank of of) mergeSums(sums, bank.total())
      return sums
    }
    expect(worst(merged(banks), merged(never))).toBeGreaterThan(0.1)
    for (const bank of banks) expect(bank.forget('acme')).toBe(true)
    expect(worst(merged(banks), merged(never))).toBeLessThan(1e-14)
    expect(banks.map(({ positions }) => positions)).toEqual(never.map(({ positions }) => positions))
  })

  test('keeps no more cells than it may: the least weighty shared domains become one', () => {
    const many = Array.from({ length: 7 }, (_, i) => ({ key: { domain: `d${i}` }, rows: 50 * (i + 1), seed: i }))
    const bank = bankOf([...many, ...windows.slice(1, 2)], { maxCells: 4 })
    expect(bank.shares.map(({ key }) => key.tenant ?? key.domain).sort()).toEqual(['acme', 'd5', 'd6', OTHER_DOMAIN])
    expect(worst(bank.total(), plainTotal([...many, windows[1]!]))).toBeLessThan(1e-6)
    expect(bank.hasRoomFor({ domain: 'd6' })).toBe(true)
    expect(bank.hasRoomFor({ domain: 'd1' })).toBe(false)
    expect(sumsBytes(3, 2)).toBe(8 * 15)
  })

  test('a domain that callers themselves call "other" loses nothing when room is made for it', () => {
    const both = [windows[0]!, windows[2]!, { key: { domain: OTHER_DOMAIN }, rows: 50, seed: 8 }]
    for (const owner of [{}, acme]) {
      const owned = both.map((window) => ({ ...window, key: { ...window.key, ...owner } }))
      const bank = bankOf(owned, { maxCells: 2 })
      expect(bank.shares.map(({ key }) => key)).toEqual([{ domain: OTHER_DOMAIN, ...owner }])
      expect(worst(bank.total(), plainTotal(owned))).toBeLessThan(1e-6)
    }
  })

  test('never mixes tenants: domains of one give way, then another tenant is refused', () => {
    const bank = bankOf([], { maxCells: 3 })
    const tenants = ['a', 'a', 'b', 'b', 'c']
    tenants.forEach((tenant, i) => see(bank, { key: { domain: `d${i}`, tenant }, rows: 10 + i, seed: i }))
    expect(new Set(bank.shares.map(({ key }) => key.tenant))).toEqual(new Set(['a', 'b', 'c']))
    expect(bank.shares).toHaveLength(3)
    const total = bank.total()
    expect(() => bank.sumsOf({ domain: 'x', tenant: 'd' })).toThrow(SumBankFullError)
    expect(() => bank.sumsOf({ domain: 'x' })).toThrow(/no cell of 3 is left for domain "x"/)
    expect(worst(bank.total(), total)).toBe(0)
    // Those that are there go on.
    see(bank, { key: { domain: 'new', tenant: 'a' }, rows: 5, seed: 20 })
    expect(bank.positions).toBe(10 + 11 + 12 + 13 + 14 + 5)
  })

  test('says what each domain has, whoever owns it', () => {
    const totals = bankOf(windows).totals()
    expect([...totals.keys()].toSorted()).toEqual(['chat', 'code'])
    for (const [domain, total] of totals) {
      expect(
        worst(
          total,
          plainTotal(windows, (key) => key.domain === domain),
        ),
      ).toBeLessThan(1e-6)
    }
  })

  test('comes back from its state as it was', () => {
    const bank = bankOf(windows)
    const again = SumBank.of(bank.state)
    expect(again.options).toEqual(options)
    expect(again.positions).toBe(bank.positions)
    expect(again.shares).toEqual(bank.shares)
    expect(again.total()).toEqual(bank.total())
  })
})
