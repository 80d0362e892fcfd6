import { silentLogger } from '@plateau/telemetry'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Manifests } from '../manifests.js'
import { emptyState } from '../model/state.js'
import { Site } from '../site.js'
import { plausibleHistory } from '../testing/history.js'
import { foldAll, noProblems, NOW_MS } from '../testing/parts.js'
import { isLoopback } from './access.js'
import { ConsoleServer } from './console-server.js'
import { EventStreams } from './event-streams.js'

const TOKEN = 'a-token-of-twenty-characters'

async function open(options: { token?: string; state?: ReturnType<typeof emptyState> } = {}) {
  const state =
    options.state ?? foldAll(plausibleHistory({ seed: 5, endMs: NOW_MS, minutes: 20, minutesPerVersion: 4 }))
  const site = new Site({
    state,
    manifests: new Manifests(undefined, undefined),
    sources: () => noProblems,
    clock: () => NOW_MS,
  })
  const changes = { id: 'run-1' }
  const streams = new EventStreams(() => changes.id)
  const answered: number[] = []
  const server = new ConsoleServer({
    host: '127.0.0.1',
    port: 0,
    token: options.token,
    site,
    streams,
    logger: silentLogger,
    onAnswered: (status) => void answered.push(status),
  })
  const url = await server.listen()
  onTestFinished(() => server.close())
  return {
    url,
    server,
    streams,
    changes,
    answered,
    get: (path: string, init?: RequestInit) => fetch(new URL(path, url), init),
  }
}

/** As a browser would that was led here under another name, or an odd client with an odd target. */
async function raw(url: string, options: { path?: string; headers?: Record<string, string> }): Promise<number> {
  const asked = request(url, { ...options, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode ?? 0
}

describe('pages', () => {
  it.each([
    ['/', 200, 'text/html; charset=utf-8', 'Acceptance'],
    ['/?range=6h', 200, 'text/html; charset=utf-8', '6 hours'],
    ['/versions?state=replaced', 200, 'text/html; charset=utf-8', 'default v1'],
    ['/versions/default/2', 200, 'text/html; charset=utf-8', 'Version 2'],
    ['/api/versions/default/2.json', 200, 'application/json', '"phase":"replaced"'],
    ['/api/state.json', 200, 'application/json', '"lineage":"default"'],
    ['/style.css', 200, 'text/css; charset=utf-8', '--back'],
    ['/app.js', 200, 'text/javascript; charset=utf-8', 'EventSource'],
    ['/favicon.svg', 200, 'image/svg+xml', '<svg'],
    ['/versions/default/99', 404, 'text/html; charset=utf-8', 'Nothing here'],
    ['/versions/nobody/1', 404, 'text/html; charset=utf-8', 'Nothing here'],
    ['/versions/default/2.json', 404, 'text/html; charset=utf-8', 'Nothing here'],
    ['/api/versions/default/2', 404, 'text/html; charset=utf-8', 'Nothing here'],
    ['/versions/%E0%A4%A/1', 404, 'text/html; charset=utf-8', 'Nothing here'],
    ['/versions/..%2F..%2Fetc/1', 404, 'text/html; charset=utf-8', 'Nothing here'],
    ['/package.json', 404, 'text/html; charset=utf-8', 'Nothing here'],
  ])('%s is %i, %s', async (path, status, type, content) => {
    const answer = await (await open()).get(path)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, type])
    expect(await answer.text()).toContain(content)
  })

  it('bring their own headers: nothing from elsewhere, nothing inline, no framing, no keeping', async () => {
    const { get } = await open()
    for (const path of ['/', '/api/state.json', '/nothing']) {
      const { headers } = await get(path)
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'self';.*frame-ancestors 'none'/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('cache-control')).toBe('no-store')
    }
    const page = await (await get('/')).text()
    expect(page).not.toMatch(/ style=|<style|<script>|javascript:| on[a-z]+="|https?:\/\//)
  })

  it('have the lineage in the JSON as numbers', async () => {
    const { lineages } = (await (await (await open()).get('/api/state.json')).json()) as {
      lineages: { lineage: string; live: unknown; candidates: unknown }[]
    }
    const lineage = lineages.find((found) => found.lineage === 'default')
    expect(lineage).toMatchObject({
      live: { version: 4, servers: 2, of: 2 },
      candidates: [{ version: 5, phase: 'canary' }],
      pinnedVersion: 0,
    })
  })

  it('send their styles again only when they have changed', async () => {
    const { get } = await open()
    const tag = (await get('/style.css')).headers.get('etag')!
    expect((await get('/style.css', { headers: { 'if-none-match': tag } })).status).toBe(304)
    expect((await get('/style.css', { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  it('are there while nothing is known', async () => {
    const { get } = await open({ state: emptyState() })
    expect(await (await get('/')).text()).toContain('Nothing yet')
    expect((await get('/versions')).status).toBe(200)
  })
})

describe('only reading is answered:', () => {
  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is not allowed anywhere', async (method) => {
    const { get } = await open()
    for (const path of ['/', '/events', '/api/state.json']) {
      const answer = await get(path, { method })
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
  })

  it('HEAD has the headers of GET and no body', async () => {
    const { get } = await open()
    const [head, whole] = [await get('/', { method: 'HEAD' }), await get('/')]
    expect(head.headers.get('content-length')).toBe(whole.headers.get('content-length'))
    expect(await head.text()).toBe('')
  })

  it('a target that is no path is not found', async () => {
    const { url } = await open()
    expect(await raw(url, { path: '//elsewhere/' })).toBe(404)
    expect(await raw(url, { path: 'http://elsewhere/' })).toBe(404)
  })
})

describe('who may read', () => {
  const basic = (password: string) => `Basic ${Buffer.from(`anyone:${password}`).toString('base64')}`

  it('without a token is whoever asks this machine by its own name', async () => {
    const { url } = await open()
    const { port } = new URL(url)
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
      expect(await raw(url, { headers: { host } })).toBe(200)
    }
    for (const host of ['elsewhere.example', `localhost.elsewhere.example:${port}`, `127.0.0.1.elsewhere.example`]) {
      expect(await raw(url, { headers: { host } })).toBe(421)
    }
  })

  it('with one is whoever knows it, as password or as bearer, under any host', async () => {
    const { url, get } = await open({ token: TOKEN })
    expect((await get('/', { headers: { authorization: basic(TOKEN) } })).status).toBe(200)
    expect((await get('/', { headers: { authorization: `bearer ${TOKEN}` } })).status).toBe(200)
    expect(await raw(url, { headers: { host: 'console.example', authorization: basic(TOKEN) } })).toBe(200)
  })

  it.each([
    '',
    'Basic',
    basic(''),
    basic(TOKEN.slice(1)),
    basic(`${TOKEN}x`),
    `Bearer ${TOKEN}x`,
    `Digest ${TOKEN}`,
    `Basic ${TOKEN}`,
  ])('with one is not who says "%s"; nothing inside is told, and the browser asks', async (authorization) => {
    const { get } = await open({ token: TOKEN })
    for (const path of ['/', '/events', '/style.css', '/nothing']) {
      const answer = await get(path, { headers: { authorization } })
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
        401,
        expect.stringContaining('Basic realm='),
      ])
      expect(await answer.text()).not.toContain('default')
    }
  })

  it('loopback is only what cannot be anything else', () => {
    expect(['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]'].map(isLoopback)).toEqual([
      true,
      true,
      true,
      true,
      true,
    ])
    expect(['0.0.0.0', '::', '10.0.0.1', 'localhost.example', '127.0.0.1.example', ''].some(isLoopback)).toBe(false)
  })
})

describe('the stream of changes', () => {
  async function listen(url: string, lastId?: string) {
    const asked = request(
      new URL('/events', url),
      lastId === undefined ? {} : { headers: { 'last-event-id': lastId } },
    ).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    let text = ''
    response.on('data', (chunk: Buffer) => (text += chunk.toString()))
    response.on('error', () => {})
    onTestFinished(() => void asked.destroy())
    return { response, ids: () => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id), close: () => asked.destroy() }
  }

  it('tells the newest id, and again when it is another one', async () => {
    const { url, streams, changes } = await open()
    const stream = await listen(url)
    expect(stream.response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    await expect.poll(stream.ids).toEqual(['run-1'])
    for (const id of ['run-2', 'run-3']) {
      changes.id = id
      streams.changed()
    }
    await expect.poll(stream.ids, { timeout: 5_000 }).toEqual(['run-1', 'run-3'])
  })

  it('says nothing to who comes back and has missed nothing', async () => {
    const { url, streams, changes } = await open()
    const [same, behind] = [await listen(url, 'run-1'), await listen(url, 'run-0')]
    await expect.poll(behind.ids).toEqual(['run-1'])
    expect(same.ids()).toEqual([])
    changes.id = 'run-2'
    streams.changed()
    await expect.poll(same.ids, { timeout: 5_000 }).toEqual(['run-2'])
  })

  it('is bounded in number, and gives its place back', async () => {
    const { url, streams, get } = await open()
    const opened = await Promise.all(Array.from({ length: 64 }, () => listen(url)))
    expect(streams.size).toBe(64)
    expect((await get('/events')).status).toBe(503)
    opened[0]!.close()
    await expect.poll(() => streams.size).toBe(63)
  })

  it('ends with the server', async () => {
    const { url, server, streams } = await open()
    const stream = await listen(url)
    await server.close()
    await once(stream.response, 'close')
    expect(streams.size).toBe(0)
  })
})
