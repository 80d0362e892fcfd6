import { describe, expect, it } from 'vitest'
import { digestOf, findKey, formatApiKeys, limitsOf, parseApiKeys } from './api-keys.js'

const entry = (name: string, more: object = {}) => ({ name, sha256: digestOf(name), tenant: 'acme', ...more })
const parse = (...keys: unknown[]) => parseApiKeys(JSON.stringify({ keys }))

describe('a file of API keys', () => {
  it('says who may do what; what it leaves out is no and without a bound', () => {
    expect(parse(entry('a', { admin: true, tokensPerMinute: 5 }))).toEqual([
      {
        name: 'a',
        sha256: digestOf('a'),
        tenant: 'acme',
        admin: true,
        capture: false,
        noSpeculation: false,
        requestsPerMinute: undefined,
        tokensPerMinute: 5,
        maxConcurrent: undefined,
      },
    ])
  })

  it('is read back as it was written', () => {
    const keys = parse(entry('a', { capture: true, maxConcurrent: 2 }), entry('b', { tenant: 'other' }))
    expect(parseApiKeys(formatApiKeys(keys))).toEqual(keys)
  })

  it.each<[string, string, string]>([
    ['text that is not JSON', '{', 'not JSON'],
    ['a list', '[]', 'the file must be a JSON object'],
    ['another field beside the keys', '{"keys":[],"kays":[]}', 'unknown field "kays"'],
    ['keys that are no list', '{"keys":{}}', 'keys must be a list'],
  ])('is refused with %s', (_, text, problem) => {
    expect(() => parseApiKeys(text)).toThrow(expect.objectContaining({ code: 'API_KEYS_INVALID' }))
    expect(() => parseApiKeys(text)).toThrow(problem)
  })

  it.each<[string, unknown[], string]>([
    ['a misspelt field', [entry('a', { adminn: true })], 'keys[0] has an unknown field "adminn"'],
    ['no name', [{ ...entry('a'), name: undefined }], 'keys[0].name'],
    ['no tenant', [entry('a'), entry('b', { tenant: '' })], 'keys[1].tenant'],
    ['the key in place of its digest', [entry('a', { sha256: 'pl_secret' })], 'keys[0].sha256'],
    ['a flag that is text', [entry('a', { admin: 'yes' })], 'keys[0].admin must be true or false'],
    ['a limit of 0', [entry('a', { requestsPerMinute: 0 })], 'keys[0].requestsPerMinute'],
    ['a limit that is not whole', [entry('a', { maxConcurrent: 1.5 })], 'keys[0].maxConcurrent'],
    ['a name twice', [entry('a'), { ...entry('b'), name: 'a' }], 'keys[0] and keys[1] have the same name'],
    ['a key twice', [entry('a'), { ...entry('b'), sha256: digestOf('a') }], 'the same sha256'],
    [
      'two limits for one tenant',
      [entry('a', { tokensPerMinute: 5 }), entry('b'), entry('c', { tokensPerMinute: 6 })],
      'keys "a" and "c" of tenant "acme" name different tokensPerMinute',
    ],
  ])('is refused with %s', (_, keys, problem) => {
    expect(() => parse(...keys)).toThrow(problem)
  })
})

it('a key is found by its digest alone', () => {
  const keys = parse(entry('a'), entry('b'))
  expect(findKey(keys, 'b')?.name).toBe('b')
  expect(findKey(keys, 'c')).toBeUndefined()
  expect(findKey(keys, digestOf('a'))).toBeUndefined()
})

it('a tenant has the limits that any of its keys names', () => {
  const keys = parse(entry('a', { tokensPerMinute: 5 }), entry('b', { maxConcurrent: 2 }), entry('c', { tenant: 'd' }))
  expect(limitsOf(keys, 'acme')).toEqual({ requestsPerMinute: undefined, tokensPerMinute: 5, maxConcurrent: 2 })
  expect(limitsOf(keys, 'd').maxConcurrent).toBeUndefined()
})
