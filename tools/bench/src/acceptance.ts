/** How long a draft that knows nothing takes, on live traffic, to be accepted at a given length. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { BenchError, progress, wholeNumber } from './bench-error.js'
import { teach, withLiveCluster, type Live } from './live-cluster.js'
import { draftedRounds, MetricsSnapshot } from './live-metrics.js'

export const acceptanceHelp = `npm run bench -- acceptance --target smollm2 [options]

Tokens and seconds of live traffic from an untrained draft to mean acceptance lengths of 1.5, 1.8 and 2.0 (1 + accepted
tokens a round, over the newest 200 drafted rounds). Serving chooses how many tokens are proposed, and proposes none where
that does not pay: a length that was not reached is said to be so.

  --target NAME|PATH  the target (fetched when it is known and missing)
  --domain NAME       chat or code (default chat)
  --max-tokens N      of traffic (default 60000)
  --max-seconds N     (default 900)
  --threads N         of the target (default: all cores)
  --help              this text
`

const lengths = [1.5, 1.8, 2] as const
const leastRounds = 200

interface Reached {
  readonly tokens: number
  readonly seconds: number
}

interface Point extends Reached {
  readonly length: number
  readonly alpha: number
}

export async function benchAcceptance(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string' },
      domain: { type: 'string', default: 'chat' },
      'max-tokens': { type: 'string', default: '60000' },
      'max-seconds': { type: 'string', default: '900' },
      threads: { type: 'string', default: String(availableParallelism()) },
    },
  })
  if (values.target === undefined) throw new BenchError('name a model with --target smollm2', { exitCode: 2 })
  const limits = {
    tokens: wholeNumber('max-tokens', values['max-tokens']),
    maxSeconds: wholeNumber('max-seconds', values['max-seconds']),
  }
  const threads = wholeNumber('threads', values.threads)
  const result = await withLiveCluster({ target: values.target, threads, warm: false }, (live) =>
    watch(live, values.domain, limits),
  )
  const { tokens, seconds } = result.taught
  console.log(`${threads} threads, ${tokens} tokens of live traffic in ${seconds.toFixed(0)} s`)
  show(result)
  return { domain: values.domain, ...result, threads }
}

async function watch(live: Live, domain: string, limits: { readonly tokens: number; readonly maxSeconds: number }) {
  const domains = live.on.domains.filter(({ name }) => name === domain)
  if (domains.length === 0) {
    const known = live.on.domains.map(({ name }) => name).join(', ')
    throw new BenchError(`--domain is one of ${known}, not "${domain}"`, { exitCode: 2 })
  }
  const snapshot = () => MetricsSnapshot.of(live.cluster.opsUrl('serving'))
  const reached: Record<string, Reached> = {}
  const curve: Point[] = []
  let from = await snapshot()
  const taught = await teach(live, {
    ...limits,
    domains,
    watch: async (tokens, seconds) => {
      const now = await snapshot()
      const { rounds, acceptanceLength, alpha } = draftedRounds(from, now)
      if (rounds < leastRounds) return false
      from = now
      curve.push({ tokens, seconds, length: acceptanceLength, alpha })
      for (const length of lengths) {
        if (acceptanceLength < length || reached[length] !== undefined) continue
        reached[length] = { tokens, seconds }
        progress(`acceptance length ${length} after ${tokens} tokens, ${seconds.toFixed(0)} s`)
      }
      return lengths.every((length) => reached[length] !== undefined)
    },
  })
  const best = curve.reduce((most, { length }) => Math.max(most, length), 1)
  const toLength = Object.fromEntries(lengths.map((length) => [length.toFixed(1), reached[length] ?? 'not reached']))
  return { toLength, bestLength: best, taught, curve }
}

function show({ toLength, bestLength, curve }: Awaited<ReturnType<typeof watch>>): void {
  console.log('\nacceptance length      tokens     seconds')
  for (const [length, found] of Object.entries(toLength)) {
    const cells = typeof found === 'string' ? found.padStart(12) : `${cell(found.tokens)}${cell(found.seconds)}`
    console.log(length.padEnd(16) + cells)
  }
  const last = curve.at(-1)
  const end =
    last === undefined
      ? 'no 200 drafted rounds'
      : `${last.length.toFixed(2)} at the end, alpha ${last.alpha.toFixed(3)}`
  console.log(`best ${bestLength.toFixed(2)}, ${end}`)
}

const cell = (value: number): string => value.toFixed(0).padStart(12)
