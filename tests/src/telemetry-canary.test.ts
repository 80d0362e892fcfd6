/** What clients say stays out of telemetry: requests with strings that are nowhere else, and a search for these in all of it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createHash, randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allTopics, deadLetterTopics, serving, target, topics } from '@plateau/contracts'
import { Cluster, serviceNames } from '@plateau/demo'
import { callServerStream, createClient } from '@plateau/rpc'
import { TestCollector, undeclared } from '@plateau/telemetry/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { formsOf, tokenForms, type Form } from './hidden-text.js'
import { tinyModel } from './models.js'
import { readAll } from './read-all.js'
import { until } from './until.js'

const word = (): string => `zq${randomBytes(9).toString('hex')}`
const canary = word()
const key = `pl_${word()}`
const otherKey = `pl_${word()}`

const directory = mkdtempSync(join(tmpdir(), 'plateau-canary-'))
const collector = new TestCollector()
let cluster: Cluster
/** What must be nowhere. */
let hidden: { readonly what: string; readonly forms: readonly Form[] }[]
const requestIds: string[] = []
const metrics = new Map<string, string>()
const othersBodies: string[] = []
const wrongAnswers: string[] = []
let canaryTokens = 0
let refusal = ''

interface Asked {
  readonly path?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
}

async function ask({ path = '/v1/completions', body, headers = {}, method = 'POST' }: Asked) {
  const response = await fetch(`${cluster.httpUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const id = response.headers.get('x-request-id')
  if (id !== null) requestIds.push(id)
  return { status: response.status, text: await response.text() }
}

const short = { max_tokens: 6, seed: 1 }
const story = `Once ${canary} said ${canary}`

/** Requests that hold the canary, and the status that each must have. */
const requests: readonly (Asked & { readonly what: string; readonly status: number })[] = [
  { what: 'prompt', status: 200, body: { prompt: story, ...short } },
  { what: 'streamed prompt', status: 200, body: { prompt: story, stream: true, ...short } },
  { what: 'several choices', status: 200, body: { prompt: [story, story], n: 2, echo: true, ...short } },
  {
    what: 'chat message',
    status: 200,
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: story }], ...short },
  },
  { what: 'stop', status: 200, body: { prompt: 'a', stop: [canary], ...short } },
  { what: "the user's name, with a key that has a tenant", status: 200, body: { prompt: 'a', user: canary, ...short } },
  {
    what: 'headers',
    status: 200,
    body: { prompt: 'a', ...short },
    headers: {
      'x-note': canary,
      'user-agent': canary,
      'x-plateau-tenant': canary,
      baggage: `note=${canary}`,
      tracestate: `note=${canary}`,
      traceparent: canary,
    },
  },
  { what: 'tokenize', status: 200, path: '/tokenize', body: { prompt: story } },
  { what: 'wrong key', status: 401, body: { prompt: 'a' }, headers: { authorization: `Bearer ${canary}` } },
  { what: 'broken JSON', status: 400, body: `{"prompt": "${canary}` },
  { what: 'unknown field', status: 400, body: { prompt: 'a', [canary]: 1 } },
  { what: 'wrong value', status: 400, body: { prompt: 'a', temperature: canary } },
  { what: 'too long', status: 400, body: { prompt: `${story} `.repeat(400), ...short } },
  { what: 'other model', status: 404, body: { prompt: 'a', model: canary } },
  { what: 'path', status: 404, path: `/v1/${canary}`, method: 'GET' },
  { what: 'model in the path', status: 404, path: `/v1/models/${canary}`, method: 'GET' },
  { what: 'query', status: 200, path: `/v1/models?note=${canary}`, method: 'GET' },
  { what: 'method of the wrong kind', status: 404, path: `/${canary}`, method: 'PROPFIND' },
]

async function generate(request: object, authorization: string): Promise<string> {
  const client = createClient(serving.ServingServiceClient, cluster.targetAddressOf('serving'))
  try {
    const settings = { metadata: { authorization, 'x-note': canary } }
    const full = serving.GenerateRequest.fromPartial(request)
    const answers = callServerStream<serving.GenerateRequest, serving.GenerateResponse>(
      (...call) => client.generate(...call),
      full,
      settings,
    )
    let said = ''
    for await (const { text } of answers) said += text
    return said
  } catch (error) {
    return String(error)
  } finally {
    client.close()
  }
}

/** A token id that is in no vocabulary: the target's refusal names it, to whoever sent it. */
const refusedToken = 987_654_321

/** Resolves with the refusal's words. */
async function askTargetWrongly(): Promise<string> {
  const client = createClient(target.TargetServiceClient, cluster.targetAddress)
  const sampling = { temperature: 1, maxTokens: 6, logitBias: { [refusedToken]: 1 } }
  const request = target.GenerateRequest.fromPartial({ promptTokenIds: [5, 6], sampling })
  try {
    const tokens = callServerStream<target.GenerateRequest, target.GenerateResponse>(
      (...call) => client.generate(...call),
      request,
    )
    for await (const _ of tokens) return 'not refused'
    return 'nothing said'
  } catch (error) {
    return String(error)
  } finally {
    client.close()
  }
}

beforeAll(async () => {
  const keysFile = join(directory, 'keys.json')
  const entry = (name: string, secret: string) => ({
    name,
    tenant: name,
    capture: true,
    sha256: createHash('sha256').update(secret).digest('hex'),
  })
  writeFileSync(keysFile, JSON.stringify({ keys: [entry('one', key), entry('two', otherKey)] }))
  const endpoint = await collector.start()
  const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '200', PLATEAU_LOG_LEVEL: 'debug' }
  const env = Object.fromEntries(serviceNames.map((name) => [name, settings]))
  cluster = await Cluster.start({
    directory,
    model: tinyModel,
    env: {
      ...env,
      serving: {
        ...settings,
        PLATEAU_API_KEYS_FILE: keysFile,
        PLATEAU_METRIC_ALIASES: 'vllm',
        PLATEAU_CAPTURE: 'consented',
      },
    },
  })

  const { tokens } = JSON.parse((await ask({ path: '/tokenize', body: { prompt: canary } })).text) as {
    tokens: number[]
  }
  // Without its ends, which join with what stands beside them.
  const inner = tokens.slice(2, -2)
  canaryTokens = inner.length

  for (const { what, status, ...asked } of requests) {
    const answer = await ask(asked)
    if (answer.status !== status) wrongAnswers.push(`${what}: ${answer.status} ${answer.text}`)
    // Somebody else, in between: an answer, and an error.
    const other = { authorization: `Bearer ${otherKey}` }
    othersBodies.push((await ask({ body: { prompt: 'b', ...short }, headers: other })).text)
    othersBodies.push((await ask({ body: { prompt: 'b', temperature: -1 }, headers: other })).text)
  }

  const sampling = target.SamplingParams.fromPartial({ temperature: 1, maxTokens: 6, seed: 1 })
  await generate({ prompt: story, sampling, stop: [canary], tenant: canary }, `Bearer ${key}`)
  await generate({ prompt: story, sampling: { ...sampling, logitBias: { 999_999: 1 } } }, `Bearer ${key}`)
  await generate({ prompt: story, sampling }, `Bearer ${canary}`)

  refusal = await askTargetWrongly()

  const answered = JSON.parse(
    (await ask({ body: { prompt: 'a', max_tokens: 40, seed: 3, temperature: 1, plateau: { return_token_ids: true } } }))
      .text,
  ) as { choices: { text: string }[]; plateau: { token_ids: number[] } }

  // A record that nothing can use, with the canary in its bytes and its key.
  const log = await cluster.openEventLog()
  try {
    const poison = { key: 'sample', value: Buffer.from(`\u0000${canary}`), headers: { ce_id: 'poison' } }
    const producer = log.producer()
    for (const { name } of [topics.tokenDistributions, topics.trainingWindows]) await producer.send(name, [poison])
    await producer.close()
    await until(async () => {
      const dead = await Promise.all(deadLetterTopics.map(({ name }) => readAll(log, name).catch(() => [])))
      return dead.flat().length >= 2 ? true : undefined
    }, 60_000)
  } finally {
    await log.close()
  }

  for (const name of cluster.processes) metrics.set(name, await (await fetch(`${cluster.opsUrl(name)}/metrics`)).text())
  // Whatever is still on its way is sent by now.
  await cluster.stop()

  const digest = createHash('sha256').update(key).digest('hex')
  hidden = [
    { what: 'the canary', forms: [...formsOf(canary), ...tokenForms(inner)] },
    { what: 'an API key', forms: formsOf(key) },
    { what: 'a refused token id', forms: [{ name: 'plain', found: (text) => text.includes(String(refusedToken)) }] },
    { what: "an API key's digest", forms: formsOf(digest) },
    {
      what: 'an answer',
      forms: [
        ...formsOf(answered.choices[0]!.text.trim().slice(0, 24)),
        ...tokenForms(answered.plateau.token_ids.slice(10, 15)),
      ],
    },
  ]
}, 240_000)

afterAll(async () => {
  await cluster?.stop()
  collector.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** What is found in a text that must hold none of it. */
function leaks(where: string, text: string): string[] {
  return hidden.flatMap(({ what, forms }) =>
    forms.filter(({ found }) => found(text)).map(({ name }) => `${what} (${name}) is in ${where}`),
  )
}

test('every request was answered as it should, and the canary is several tokens', () => {
  expect(wrongAnswers).toEqual([])
  expect(canaryTokens).toBeGreaterThan(3)
  expect(refusal).toContain(String(refusedToken))
})

test('the search finds each form where it is', () => {
  const ids = [17, 2041, 5, 88]
  const packed = Buffer.from(Uint32Array.from(ids).buffer)
  const texts = [
    { text: canary, forms: formsOf(canary) },
    { text: JSON.stringify({ ids }), forms: tokenForms(ids).slice(0, 1) },
  ]
  for (const { text, forms } of texts) expect(forms.some(({ found }) => found(text))).toBe(true)
  const shown = [
    canary.toUpperCase(),
    Buffer.from(canary).toString('hex'),
    ...['', 'x', 'xy'].map((before) => Buffer.from(`${before}${canary}!`).toString('base64')),
    ...['', 'x', 'xy'].map((before) => Buffer.from(`${before}${canary}`).toString('base64url')),
    [...Buffer.from(canary)].map((byte) => `%${byte.toString(16)}`).join(''),
  ]
  for (const text of shown) expect(formsOf(canary).some(({ found }) => found(text))).toBe(true)
  expect(tokenForms(ids).some(({ found }) => found(Buffer.concat([Buffer.from('z'), packed]).toString('base64')))).toBe(
    true,
  )
  expect(leaks('a place', `{"prompt":"${canary}"}`)).toHaveLength(1)
})

test('spans hold none of it, and they are the spans of these requests', () => {
  const ids = new Set(collector.spans.map(({ attributes }) => attributes['plateau.request.id']))
  expect(requestIds.filter((id) => !ids.has(id))).toEqual([])
  const services = new Set(collector.spans.map(({ service }) => service))
  expect([...services].toSorted()).toEqual([...serviceNames].toSorted())
  expect(collector.bodies.flatMap((body) => leaks('a span', body))).toEqual([])
})

test('refused, broken and unknown requests, and calls over gRPC, have declared spans as well', () => {
  expect([...new Set(collector.spans.flatMap(undeclared))]).toEqual([])
  const statuses = collector.spans.map(({ attributes }) => attributes['http.response.status_code'])
  expect(statuses).toEqual(expect.arrayContaining([200, 400, 401, 404]))
  const call = collector.spans.find(({ name, kind }) => name.endsWith('ServingService/Generate') && kind === 2)!
  const inside = collector.spans.filter(({ parentSpanId }) => parentSpanId === call.spanId)
  expect(inside.map(({ name }) => name.split(' ')[0])).toContain('text_completion')
})

test.each(serviceNames)('the log of %s holds none of it, with all that it can say', (name) => {
  const text = readFileSync(cluster.logFile(name), 'utf8')
  expect(text).toContain('"level":"debug"')
  expect(leaks('the log', text)).toEqual([])
})

test.each(serviceNames)('the metrics of %s hold none of it', (name) => {
  expect(metrics.get(name)).toContain('plateau_')
  expect(leaks('the metrics', metrics.get(name)!)).toEqual([])
})

test("other users' answers and errors hold none of it", () => {
  expect(othersBodies).toHaveLength(2 * requests.length)
  expect(leaks('an answer', othersBodies.join('\n'))).toEqual([])
})

test('the headers of records hold none of it, dead letters included', async () => {
  const log = await cluster.openEventLog()
  try {
    for (const { name } of [...allTopics, ...deadLetterTopics]) {
      const records = await readAll(log, name).catch(() => [])
      expect(leaks(`the headers of ${name}`, JSON.stringify(records.map(({ headers }) => headers)))).toEqual([])
    }
  } finally {
    await log.close()
  }
})
