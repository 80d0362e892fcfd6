import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Html } from '../pages/html.js'

/** Everything comes from here and nothing is framed, guessed or kept; the page needs no inline script or style. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
}

/** A body in memory; of a HEAD request Node sends the headers alone. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

export function htmlAnswer(page: Html, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: 'text/html; charset=utf-8', body: page.markup, headers }
}

export function jsonAnswer(body: object, status = 200): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(body)}\n` }
}

/** Asked for again with every page, and sent only when it is another one. */
export function assetAnswer(type: string, body: Buffer, knownTag: string | undefined): Answer {
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  const headers = { 'cache-control': 'no-cache', etag: tag }
  if (knownTag === tag) return { status: 304, type, body: '', headers }
  return { status: 200, type, body, headers }
}

export function send(response: ServerResponse, { status, type, body, headers = {} }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers })
  response.end(body)
}
