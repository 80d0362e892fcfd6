import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Why a request is not answered; undefined when it is. */
export type Refusal = 'needs token' | 'wrong host'

/**
 * Who may read. With a token: whoever knows it, as password of HTTP Basic under any user name, or as bearer. Without one the
 * page is this machine's: then the host that the browser believes to talk to must be this machine too, or a page from elsewhere whose
 * name was made to lead here could read it.
 */
export function refusalOf({ headers }: IncomingMessage, token: string | undefined): Refusal | undefined {
  if (token !== undefined) return isToken(headers.authorization ?? '', token) ? undefined : 'needs token'
  return isLoopback(hostName(headers.host ?? '')) ? undefined : 'wrong host'
}

/** 127.0.0.0/8, ::1, localhost. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host)
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, '')
}

function isToken(authorization: string, token: string): boolean {
  const [, scheme = '', credentials = ''] = /^(basic|bearer) +(\S+)$/i.exec(authorization) ?? []
  const given = scheme.toLowerCase() === 'basic' ? passwordOf(credentials) : credentials
  // Digests have one length, and comparing them takes one time.
  return scheme !== '' && timingSafeEqual(digest(given), digest(token))
}

function passwordOf(credentials: string): string {
  const text = Buffer.from(credentials, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? '' : text.slice(colon + 1)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
