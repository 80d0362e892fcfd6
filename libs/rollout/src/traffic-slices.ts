/** Whose traffic a position is of. */
export interface TrafficLabels {
  readonly tenant: string
  readonly domain: string
}

/** Whose position a pair is of. */
export interface PairLabels extends TrafficLabels {
  /** The response; without it, 64 pairs one after the other count as one. */
  readonly sampleId?: string
}

/** One tenant's or domain's part of a comparison. */
export interface TrafficSlice {
  readonly label: 'tenant' | 'domain'
  readonly name: string
  /** Of this version. */
  readonly positions: number
  readonly value: number
  readonly otherValue: number
}

/** Names that are told apart, of tenants and of domains; later ones are one, "other". */
const NAMES = 64
const LARGEST = 8

/** Means of this version and the other one by tenant and by domain, in bounded memory. */
export class TrafficSlices {
  readonly #tenants = new Map<string, Sums>()
  readonly #domains = new Map<string, Sums>()

  /** `value` and `other` are sums over `positions` and `otherPositions`. */
  add({ tenant, domain }: TrafficLabels, sums: Readonly<Sums>): void {
    addTo(sumsOf(this.#tenants, tenant), sums)
    addTo(sumsOf(this.#domains, domain), sums)
  }

  /** The eight with the most positions of this version, the largest first; traffic without a label is left out. */
  largest(): TrafficSlice[] {
    return [...slices('tenant', this.#tenants), ...slices('domain', this.#domains)]
      .toSorted((a, b) => b.positions - a.positions)
      .slice(0, LARGEST)
  }
}

interface Sums {
  positions: number
  value: number
  otherPositions: number
  other: number
}

function sumsOf(names: Map<string, Sums>, name: string): Sums {
  const key = names.has(name) || names.size < NAMES ? name : 'other'
  const sums = names.get(key) ?? { positions: 0, value: 0, otherPositions: 0, other: 0 }
  names.set(key, sums)
  return sums
}

function addTo(sums: Sums, more: Readonly<Sums>): void {
  sums.positions += more.positions
  sums.value += more.value
  sums.otherPositions += more.otherPositions
  sums.other += more.other
}

function slices(label: TrafficSlice['label'], names: ReadonlyMap<string, Sums>): TrafficSlice[] {
  return [...names]
    .filter(([name]) => name !== '')
    .map(([name, { positions, value, otherPositions, other }]) => ({
      label,
      name,
      positions,
      value: value / Math.max(1, positions),
      otherValue: other / Math.max(1, otherPositions),
    }))
}
