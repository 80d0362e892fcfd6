import { PlateauError } from '@plateau/contracts'
import { badRequest, tooManyRequests } from '../request-errors.js'
import type { TenantLimits } from './api-keys.js'
import { TokenBucket } from './token-bucket.js'

/** What one request wants before it starts. */
export interface Asked {
  /** Prompt tokens and the most that may be generated, over all its responses. */
  readonly tokens: number
  /** Responses that run at once. */
  readonly responses: number
  /** Names of the request's fields that decide the two, for errors. */
  readonly fields: { readonly tokens: string; readonly responses: string }
}

export interface Reservation {
  /** The request has ended and used so many tokens: the rest is given back. Later calls do nothing. */
  settle(usedTokens: number): void
}

export type QuotaName = 'requests_per_minute' | 'tokens_per_minute' | 'concurrency'

export interface QuotasOptions {
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
  /** How long a response takes at present, for whoever waits for another one to end. */
  readonly responseMs: () => number
  readonly onRefused: (tenant: string, quota: QuotaName) => void
}

interface TenantState {
  requests: TokenBucket | undefined
  tokens: TokenBucket | undefined
  running: number
}

/** Quotas by tenant: requests and tokens a minute, and responses at once. */
export class Quotas {
  readonly #options: QuotasOptions
  readonly #tenants = new Map<string, TenantState>()

  constructor(options: QuotasOptions) {
    this.#options = options
  }

  /**
   * Throws INVALID_ARGUMENT for a request that could never fit, and RESOURCE_EXHAUSTED with the fact `retryAfterSeconds`
   * for one that will fit later; nothing is taken then. `limits` may change from call to call.
   */
  reserve(tenant: string, limits: TenantLimits, asked: Asked): Reservation {
    const { nowMs } = this.#options
    const state = this.#stateOf(tenant, limits)
    this.#refuse(tenant, 'concurrency', this.#untilEnoughEnd(state, limits, asked), asked)
    this.#refuse(tenant, 'requests_per_minute', state.requests?.waitMs(1, nowMs()) ?? 0, asked)
    this.#refuse(tenant, 'tokens_per_minute', state.tokens?.waitMs(asked.tokens, nowMs()) ?? 0, asked)
    state.requests?.take(1, nowMs())
    state.tokens?.take(asked.tokens, nowMs())
    state.running += asked.responses
    let open = true
    return {
      settle: (usedTokens) => {
        if (!open) return
        open = false
        state.running -= asked.responses
        state.tokens?.giveBack(Math.max(0, asked.tokens - usedTokens), nowMs())
      },
    }
  }

  #stateOf(tenant: string, limits: TenantLimits): TenantState {
    let state = this.#tenants.get(tenant)
    if (state === undefined) {
      state = { requests: undefined, tokens: undefined, running: 0 }
      this.#tenants.set(tenant, state)
    }
    const nowMs = this.#options.nowMs()
    state.requests = bucketFor(state.requests, limits.requestsPerMinute, nowMs)
    state.tokens = bucketFor(state.tokens, limits.tokensPerMinute, nowMs)
    return state
  }

  #untilEnoughEnd(state: TenantState, { maxConcurrent = Infinity }: TenantLimits, asked: Asked): number {
    if (asked.responses > maxConcurrent) return Infinity
    return state.running + asked.responses > maxConcurrent ? Math.max(1, this.#options.responseMs()) : 0
  }

  #refuse(tenant: string, quota: QuotaName, waitMs: number, asked: Asked): void {
    if (waitMs === 0) return
    if (waitMs === Infinity) throw tooLarge(quota, asked)
    this.#options.onRefused(tenant, quota)
    throw tooManyRequests(`${SENTENCE[quota]} are used up`, { limit: quota, tenant, waitMs })
  }
}

const SENTENCE: Readonly<Record<QuotaName, string>> = {
  requests_per_minute: "this tenant's requests of a minute",
  tokens_per_minute: "this tenant's tokens of a minute, of which a request takes its prompt and max_tokens,",
  concurrency: "this tenant's places for responses at once",
}

function tooLarge(quota: QuotaName, { fields, tokens, responses }: Asked): PlateauError {
  return quota === 'concurrency'
    ? badRequest(fields.responses, `${responses} responses are more than this tenant may run at once`)
    : badRequest(
        fields.tokens,
        `prompt and ${fields.tokens} are ${tokens} tokens, more than this tenant has in a minute`,
      )
}

function bucketFor(bucket: TokenBucket | undefined, perMinute: number | undefined, nowMs: number) {
  if (perMinute === undefined) return undefined
  if (bucket === undefined) return new TokenBucket(perMinute, nowMs)
  if (bucket.perMinute !== perMinute) bucket.resize(perMinute, nowMs)
  return bucket
}
