import { readFile } from 'node:fs/promises'
import { messageOf, PlateauError } from '@plateau/contracts'

const TIMEOUT_MS = 10_000
/** A token that is about to end would be refused on its way. */
const SAFETY_MS = 30_000

/** Whoever renews the file is heard at the next login. */
export function tokensFromFile(path: string): () => Promise<string> {
  return async () => {
    const token = (await readFile(path, 'utf8')).trim()
    if (token !== '') return token
    throw new PlateauError('TOKEN_MISSING', `${path} holds no token.`, { facts: { path } })
  }
}

/** OAuth 2.0 client credentials; a token is used again until shortly before its end. */
export function tokensFromEndpoint(
  endpoint: string,
  client: { readonly id: string; readonly secret: string },
  nowMs: () => number,
): () => Promise<string> {
  let held: { readonly token: string; readonly untilMs: number } | undefined
  return async () => {
    if (held !== undefined && nowMs() < held.untilMs) return held.token
    const { token, expiresInMs } = await askForToken(endpoint, client)
    held = { token, untilMs: nowMs() + expiresInMs - SAFETY_MS }
    return token
  }
}

async function askForToken(endpoint: string, client: { readonly id: string; readonly secret: string }) {
  const fail = (why: string, cause?: unknown) =>
    new PlateauError('TOKEN_REFUSED', `The token endpoint ${endpoint} ${why}`, {
      facts: { endpoint, client: client.id },
      retryable: true,
      cause,
    })
  const credentials = `${encodeURIComponent(client.id)}:${encodeURIComponent(client.secret)}`
  let response: Response
  try {
    response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'grant_type=client_credentials',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
  } catch (thrown) {
    throw fail(`cannot be reached: ${messageOf(thrown instanceof Error ? (thrown.cause ?? thrown) : thrown)}`, thrown)
  }
  // Its body may quote what we sent, or be a bare token: no part of it is told, and that of a parser's error neither.
  if (!response.ok) throw fail(`answered ${response.status} to client ${client.id}.`)
  const answer = (await response.json().catch(() => undefined)) as
    | { readonly access_token?: unknown; readonly expires_in?: unknown }
    | null
    | undefined
  if (typeof answer?.access_token !== 'string') throw fail('answered without an access_token.')
  // RFC 6749 only recommends expires_in: without one, ask every time.
  return { token: answer.access_token, expiresInMs: Number(answer.expires_in ?? 0) * 1000 }
}
