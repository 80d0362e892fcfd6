import { PlateauError } from '@plateau/contracts'
import { findKey, limitsOf, type ApiKey } from './api-keys.js'
import type { Asked, Quotas, Reservation } from './quotas.js'

/** How PLATEAU_CAPTURE decides whose distributions may be streamed to the event log. */
export type CapturePolicy = 'off' | 'consented' | 'all'

/** Who is asking. */
export interface Caller {
  /** The key's; undefined without a keys file: then the request's own word counts. */
  readonly tenant: string | undefined
  /** '' without a keys file. */
  readonly keyName: string
  /** May order roll-outs. Without a keys file everybody who reaches the address may. */
  readonly admin: boolean
  /** Whether this caller's requests may be streamed to the event log, unless the request or the tenant opts out. */
  readonly mayCapture: boolean
  /** Whether its responses may be speculated on; a request may opt out as well. */
  readonly maySpeculate: boolean
}

export interface AccessOptions {
  /** The keys at present; undefined: no keys file, everybody may ask. */
  readonly keys: (() => readonly ApiKey[]) | undefined
  readonly capture: CapturePolicy
  readonly quotas: Quotas
}

/** Who may ask, for how much, and whether it may be streamed. The same for HTTP and gRPC. */
export class Access {
  readonly #options: AccessOptions

  constructor(options: AccessOptions) {
    this.#options = options
  }

  /** `authorization` is the header or metadata of that name, "Bearer KEY". Throws UNAUTHENTICATED. */
  readonly authenticate = (authorization: string | undefined): Caller => {
    const { keys, capture } = this.#options
    if (keys === undefined)
      return { tenant: undefined, keyName: '', admin: true, mayCapture: capture === 'all', maySpeculate: true }
    const presented = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
    if (presented === undefined) throw unauthenticated('an API key is needed, as "Authorization: Bearer KEY"')
    const key = findKey(keys(), presented)
    if (key === undefined) throw unauthenticated('this API key is not known here')
    const mayCapture = capture === 'all' || (capture === 'consented' && key.capture)
    return { tenant: key.tenant, keyName: key.name, admin: key.admin, mayCapture, maySpeculate: !key.noSpeculation }
  }

  /** A place within the tenant's quotas; throws as Quotas.reserve does. Without a keys file there are none. */
  reserve(tenant: string, asked: Asked): Reservation {
    const { keys, quotas } = this.#options
    if (keys === undefined) return { settle: () => {} }
    return quotas.reserve(tenant, limitsOf(keys(), tenant), asked)
  }
}

function unauthenticated(message: string): PlateauError {
  return new PlateauError('UNAUTHENTICATED', message, { facts: { reason: 'invalid_api_key' } })
}
