import fc from 'fast-check'
import type { FuzzTarget } from '../fuzz-target.js'
import { deepJson, jsonWith } from '../json-values.js'
import { sendRaw, statusesOf } from '../raw-http.js'

/** A server must be well after so many inputs, and at the end. */
const LOOK_AFTER = 25
/** For what must be answered, on a busy machine too. */
const PATIENT_MS = 8_000

const limits = { inputMs: 5000, memoryMiB: 96, inputBytes: 200_000 }

function request(method: string, path: string, body: Uint8Array, more: readonly string[] = []): Uint8Array {
  const lines = [`${method} ${path} HTTP/1.1`, 'host: localhost', 'connection: close', ...more]
  if (body.length > 0) lines.push('content-type: application/json', `content-length: ${body.length}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body])
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
const none = Buffer.alloc(0)

const fields = [
  'model',
  'prompt',
  'messages',
  'role',
  'content',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'top_k',
  'n',
  'best_of',
  'stream',
  'stream_options',
  'include_usage',
  'stop',
  'seed',
  'logprobs',
  'top_logprobs',
  'echo',
  'logit_bias',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'stop_token_ids',
  'user',
  'ignore_eos',
  'return_token_ids',
  'plateau',
  'domain',
  'capture',
  'disable_speculation',
  'tokens',
  'suffix',
  'add_special_tokens',
  'response_format',
  'tools',
  'type',
  'text',
  'min_tokens',
  'continuous_usage_stats',
]

/** What the API documents; 500 is never right. */
const STATUSES = new Set([200, 400, 401, 403, 404, 405, 408, 413, 421, 429, 431, 499, 503, 504])

export const servingHttp: FuzzTarget = {
  name: 'serving-http',
  summary: "OpenAI's API on a running serving and target: request lines, headers, bodies",
  limits,
  shortRuns: 200,
  open: async () => {
    const { startServices } = await import('../services.js')
    const services = await startServices(['target-model', 'serving'])
    const completion = { prompt: 'The state of', max_tokens: 3, temperature: 0 }
    const good = request('POST', '/v1/completions', json(completion))
    const expected = textIn(await sendRaw(services.httpPort, good, PATIENT_MS))
    const chat = { messages: [{ role: 'user', content: 'hello' }], max_tokens: 2, n: 2, logprobs: true, stream: true }
    const odd = { ...completion, echo: true, logprobs: 2, stop: ['a'], logit_bias: { 5: -100 }, seed: 1 }
    const body = fc.oneof({ arbitrary: jsonWith(fields), weight: 8 }, { arbitrary: deepJson, weight: 1 })
    const path = fc.oneof(
      fc.constantFrom('/v1/completions', '/v1/chat/completions', '/tokenize', '/detokenize'),
      fc.constantFrom('/v1/models', '/v1/models/%', '/v1/models/%ff', '/version', '/metrics', '/healthz?x=%'),
    )
    const generated = fc
      .tuple(fc.constantFrom('POST', 'POST', 'POST', 'GET', 'PUT', 'OPTIONS', 'HEAD'), path, body)
      .map(([method, where, bytes]) => request(method, where, bytes))
    const post = (where: string, value: unknown, more?: readonly string[]) => request('POST', where, json(value), more)
    return {
      corpus: [
        good,
        post('/v1/completions', odd),
        post('/v1/chat/completions', chat),
        post('/tokenize', { prompt: 'a b' }),
        post('/detokenize', { tokens: [1, 2] }),
        request('GET', '/v1/models/tiny-target', none),
        post('/v1/completions', completion, [
          'x-plateau-tenant: acme',
          'traceparent: 00-0-0-00',
          'authorization: Bearer a',
        ]),
      ],
      generated,
      run: checking(services.httpPort, STATUSES, services.takeErrors, async () => {
        const text = textIn(await sendRaw(services.httpPort, good, PATIENT_MS))
        if (text !== expected) throw new Error(`a good request is answered with ${text}, before it was ${expected}`)
      }),
      close: services.close,
    }
  },
}

export const consoleHttp: FuzzTarget = {
  name: 'console-http',
  summary: 'the console: paths, query strings, headers',
  limits,
  shortRuns: 200,
  open: async () => {
    const { startServices } = await import('../services.js')
    const services = await startServices(['console'])
    const page = request('GET', '/', none)
    const name = fc.oneof(fc.constantFrom('lineage', 'range', 'state', 'phase', 'before', 'page'), fc.string())
    const value = fc.oneof(
      fc.constantFrom('', '0', '-1', '1e309', 'NaN', '9007199254740993', '%', '%ff', 'default'),
      fc.string({ unit: 'binary' }).map(encoded),
    )
    const generated = fc
      .tuple(fc.constantFrom(...PATHS), fc.array(fc.tuple(name.map(encoded), value), { maxLength: 5 }))
      .map(([path, pairs]) => request('GET', `${path}?${pairs.map((pair) => pair.join('=')).join('&')}`, none))
    return {
      corpus: [page, ...PATHS.map((path) => request('GET', path, none)), request('POST', '/api/state.json', json({}))],
      generated,
      run: checking(services.consolePort, STATUSES, services.takeErrors, async () => {
        if (statusesOf(await sendRaw(services.consolePort, page, PATIENT_MS))[0] !== 200)
          throw new Error('the page is gone')
      }),
      close: services.close,
    }
  },
}

/** Pages and answers of the console. */
const PATHS = [
  '/',
  '/versions',
  '/versions/default/1',
  '/api/state.json',
  '/api/versions/default/1.json',
  '/app.js',
  '/nothing',
]

/** Lone surrogates have no encoding; they go as they are said by others. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

/** One raw request, then what must hold: documented statuses only, nothing unexpected in the log, a server that is well. */
function checking(
  port: number,
  statuses: ReadonlySet<number>,
  takeErrors: () => string[],
  isWell: () => Promise<void>,
): (input: Uint8Array) => Promise<boolean> {
  let count = 0
  return async (input) => {
    const found = statusesOf(await sendRaw(port, input))
    const [error] = takeErrors()
    if (error !== undefined) throw new Error(`the service logged an error: ${error}`)
    const wrong = found.find((status) => !statuses.has(status))
    if (wrong !== undefined) throw new Error(`it answered ${wrong}`)
    if (++count % LOOK_AFTER === 0) await isWell()
    return found.includes(200)
  }
}

function textIn(answer: string): string {
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
  const parsed = JSON.parse(body) as { readonly choices?: readonly { readonly text?: string }[] }
  return parsed.choices?.[0]?.text ?? body
}
