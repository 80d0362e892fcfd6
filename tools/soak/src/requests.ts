import type { Random } from '@plateau/speculation'

/** One request before it is sent, and what may come back for it. */
export interface PlannedRequest {
  readonly kind: string
  readonly tenant: string
  readonly path: string
  /** Undefined: none is shown. */
  readonly key: string | undefined
  readonly body: string
  readonly stream: boolean
  /** The client leaves after so many pieces. */
  readonly leavesAfter: number | undefined
  /** The one status that is right, of a request that is wrong. */
  readonly refusedWith: number | undefined
}

export interface Tenant {
  readonly name: string
  readonly key: string
  readonly capture: boolean
  /** Undefined: no bound. */
  readonly requestsPerMinute: number | undefined
}

/** Beyond any context that a target has here. */
const TOO_MANY_TOKENS = 10_000_000
const MOST_TOKENS = 32

type Wrong = readonly [name: string, status: number, path: string, body: string, showsKey: boolean]

const COMPLETIONS = '/v1/completions'
const CHAT = '/v1/chat/completions'

const wrongs: readonly Wrong[] = [
  ['not JSON', 400, COMPLETIONS, '{"prompt": ', true],
  ['too long', 400, COMPLETIONS, JSON.stringify({ prompt: 'a', max_tokens: TOO_MANY_TOKENS }), true],
  ['wrong type', 400, CHAT, JSON.stringify({ messages: 'hello' }), true],
  ['unknown model', 404, COMPLETIONS, JSON.stringify({ model: 'another', prompt: 'a' }), true],
  ['unknown path', 404, '/v1/nothing', '{}', true],
  ['no key', 401, COMPLETIONS, JSON.stringify({ prompt: 'a' }), false],
  ['too large', 413, COMPLETIONS, JSON.stringify({ prompt: 'a'.repeat(1_200_000) }), true],
]

/** The next request of the run: seven in ten are plain traffic, one in ten leaves early, one in ten is wrong. */
export function nextRequest(
  random: Random,
  tenants: readonly Tenant[],
  prompts: readonly string[],
  sequence: number,
): PlannedRequest {
  const tenant = tenants[Math.floor(random() * tenants.length)]!
  const prompt = prompts[Math.floor(random() * prompts.length)]!
  const common = { tenant: tenant.name, key: tenant.key, leavesAfter: undefined, refusedWith: undefined }
  const lot = random()
  if (lot < 0.1) {
    const [name, status, path, body, showsKey] = wrongs[Math.floor(random() * wrongs.length)]!
    const key = showsKey ? tenant.key : undefined
    return { ...common, kind: `wrong: ${name}`, path, body, key, stream: false, refusedWith: status }
  }
  const sampling = { max_tokens: MOST_TOKENS, temperature: sequence % 2, seed: sequence + 1 }
  const streaming = { stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } }
  const completion = { prompt, ...sampling }
  const streamed = { ...common, path: COMPLETIONS, stream: true, body: JSON.stringify({ ...completion, ...streaming }) }
  if (lot < 0.2) return { ...streamed, kind: 'cancelled', leavesAfter: 1 + Math.floor(random() * 5) }
  if (lot < 0.35) {
    const messages = [{ role: 'user', content: prompt }]
    const body = JSON.stringify({ messages, ...sampling, ...streaming })
    return { ...common, kind: 'chat, streamed', path: CHAT, stream: true, body }
  }
  if (lot < 0.6) return { ...common, kind: 'whole', path: COMPLETIONS, stream: false, body: JSON.stringify(completion) }
  return { ...streamed, kind: 'streamed' }
}
