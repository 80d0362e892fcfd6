import type { ServiceName } from '@plateau/demo'
import type { Random } from '@plateau/speculation'

export type Blow =
  | { readonly kind: 'kill -9' | 'drain and restart'; readonly service: ServiceName }
  | { readonly kind: 'freeze'; readonly service: ServiceName; readonly seconds: number }
  | { readonly kind: 'checkpoint store away' | 'disk full'; readonly seconds: number }
  | { readonly kind: 'broker kill -9' }
  | { readonly kind: 'broker freeze'; readonly seconds: number }

export interface PlannedBlow {
  readonly atMs: number
  readonly blow: Blow
}

const services = ['target-model', 'flatness-scorer', 'trainer', 'serving', 'console'] as const

/** Each once before any comes twice. */
const everywhere: readonly Blow[] = [
  ...services.map((service) => ({ kind: 'kill -9', service }) as const),
  ...services.map((service) => ({ kind: 'freeze', service, seconds: 6 }) as const),
  ...(['flatness-scorer', 'trainer', 'serving'] as const).map((service) => {
    return { kind: 'drain and restart', service } as const
  }),
  { kind: 'checkpoint store away', seconds: 10 },
  { kind: 'disk full', seconds: 6 },
]
const onKafka: readonly Blow[] = [{ kind: 'broker kill -9' }, { kind: 'broker freeze', seconds: 10 }]

const FIRST_MS = 10_000
const [LEAST_GAP_MS, MOST_GAP_MS] = [12_000, 28_000]
/** The last part of a run stays calm, so that what broke shows. */
const CALM_MS = 30_000

/** The blows of a run and their times: the same for the same seed. Empty where the run is too short for one. */
export function planChaos(durationMs: number, random: Random, options: { readonly kafka: boolean }): PlannedBlow[] {
  const kinds = options.kafka ? [...everywhere, ...onKafka] : everywhere
  const planned: PlannedBlow[] = []
  let bag: Blow[] = []
  for (
    let atMs = FIRST_MS;
    atMs < durationMs - CALM_MS;
    atMs += LEAST_GAP_MS + random() * (MOST_GAP_MS - LEAST_GAP_MS)
  ) {
    if (bag.length === 0) bag = shuffled(kinds, random)
    planned.push({ atMs: Math.round(atMs), blow: bag.pop()! })
  }
  return planned
}

/** As people read it. */
export function nameOf(blow: Blow): string {
  const what = 'service' in blow ? `${blow.kind} ${blow.service}` : blow.kind
  return 'seconds' in blow ? `${what} for ${blow.seconds} s` : what
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  const order = [...values]
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}
