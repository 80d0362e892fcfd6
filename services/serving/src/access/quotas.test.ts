import { beforeEach, describe, expect, it } from 'vitest'
import type { TenantLimits } from './api-keys.js'
import { Quotas } from './quotas.js'

const unlimited: TenantLimits = { requestsPerMinute: undefined, tokensPerMinute: undefined, maxConcurrent: undefined }
let nowMs = 0
const refused: string[] = []
let quotas: Quotas

beforeEach(() => {
  nowMs = 0
  refused.length = 0
  const onRefused = (tenant: string, quota: string): void => void refused.push(`${tenant} ${quota}`)
  quotas = new Quotas({ nowMs: () => nowMs, responseMs: () => 2_500, onRefused })
})

const reserve = (limits: Partial<TenantLimits>, tokens = 10, responses = 1, tenant = 'a') =>
  quotas.reserve(
    tenant,
    { ...unlimited, ...limits },
    { tokens, responses, fields: { tokens: 'max_tokens', responses: 'n' } },
  )

function refusal(body: () => unknown): { code: string; facts: Record<string, unknown>; retryable: boolean } {
  try {
    body()
  } catch (error) {
    return error as never
  }
  throw new Error('it was not refused')
}

describe('a tenant', () => {
  it('has its requests of a minute, and hears when the next one fits', () => {
    for (let i = 0; i < 2; i++) reserve({ requestsPerMinute: 2 })
    expect(refusal(() => reserve({ requestsPerMinute: 2 }))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: true,
      facts: { limit: 'requests_per_minute', reason: 'rate_limit_exceeded', retryAfterSeconds: 30 },
    })
    nowMs = 29_500
    expect(refusal(() => reserve({ requestsPerMinute: 2 })).facts['retryAfterSeconds']).toBe(1)
    nowMs = 30_000
    reserve({ requestsPerMinute: 2 })
    expect(refused).toEqual(Array(2).fill('a requests_per_minute'))
  })

  it('takes all that it asks for, and gets back what it did not use', () => {
    const first = reserve({ tokensPerMinute: 100 }, 80)
    expect(refusal(() => reserve({ tokensPerMinute: 100 }, 50)).facts).toMatchObject({
      limit: 'tokens_per_minute',
      retryAfterSeconds: 18,
    })
    first.settle(30)
    first.settle(0) // a second time gives nothing back
    reserve({ tokensPerMinute: 100 }, 70)
    expect(refusal(() => reserve({ tokensPerMinute: 100 }, 1)).facts['limit']).toBe('tokens_per_minute')
  })

  it('has so many responses at once; another place is free about when a response takes to end', () => {
    const running = reserve({ maxConcurrent: 3 }, 1, 2)
    expect(refusal(() => reserve({ maxConcurrent: 3 }, 1, 2)).facts).toMatchObject({
      limit: 'concurrency',
      retryAfterSeconds: 3,
    })
    reserve({ maxConcurrent: 3 }, 1, 1)
    running.settle(1)
    reserve({ maxConcurrent: 3 }, 1, 2)
  })

  it('hears that a request never fits', () => {
    const error = (limits: Partial<TenantLimits>, responses: number) => refusal(() => reserve(limits, 11, responses))
    expect(error({ tokensPerMinute: 10 }, 1)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      facts: { field: 'max_tokens' },
    })
    expect(error({ maxConcurrent: 1 }, 2)).toMatchObject({ code: 'INVALID_ARGUMENT', facts: { field: 'n' } })
    expect(refused).toEqual([])
  })

  it('pays nothing for what was refused', () => {
    reserve({ requestsPerMinute: 2, tokensPerMinute: 10 }, 10)
    for (let i = 0; i < 5; i++) refusal(() => reserve({ requestsPerMinute: 2, tokensPerMinute: 10 }, 10))
    nowMs = 60_000
    expect(() => reserve({ requestsPerMinute: 2, tokensPerMinute: 10 }, 10)).not.toThrow()
  })

  it('does not feel what another one uses', () => {
    reserve({ requestsPerMinute: 1 }, 1, 1, 'a')
    expect(() => reserve({ requestsPerMinute: 1 }, 1, 1, 'b')).not.toThrow()
  })

  it('has its new limits at once', () => {
    reserve({ requestsPerMinute: 1 })
    reserve({ requestsPerMinute: 2 })
    refusal(() => reserve({ requestsPerMinute: 2 }))
    expect(() => reserve({})).not.toThrow()
  })
})
