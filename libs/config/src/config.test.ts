import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  address,
  bytes,
  checkpointsUrl,
  choice,
  ConfigError,
  decimal,
  defineConfig,
  eventLogUrl,
  existingDirectory,
  existingFile,
  existingPath,
  flag,
  httpUrl,
  integer,
  list,
  mergeConfigs,
  optional,
  port,
  seconds,
  secret,
  share,
  text,
} from './index.js'

const sample = defineConfig({
  httpPort: port({ env: 'PLATEAU_HTTP_PORT', default: 8080, help: 'Port of the HTTP API.' }),
  model: text({ env: 'PLATEAU_MODEL', help: 'Model name.' }),
  keep: share({ env: 'PLATEAU_KEEP', default: 0.5, help: 'Kept share.' }),
  token: optional(secret({ env: 'PLATEAU_TOKEN', help: 'Access token.' })),
})

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('nothing was refused')
}

describe('defineConfig', () => {
  it('fills defaults and parses what is given', () => {
    const values = sample.parse({ PLATEAU_MODEL: 'm', PLATEAU_KEEP: '.25', PATH: '/bin' })
    expect(values).toEqual({ httpPort: 8080, model: 'm', keep: 0.25, token: undefined })
  })

  it('reports every problem at once, with name, value and what is allowed', () => {
    const problems = problemsOf(() => sample.parse({ PLATEAU_HTTP_PORT: '99999', PLATEAU_KEEP: 'half' }))
    expect(problems).toEqual([
      'PLATEAU_HTTP_PORT="99999" is not allowed; allowed: a port from 1 to 65535, or 0 for any free one',
      'PLATEAU_MODEL is missing; allowed: text (Model name.)',
      'PLATEAU_KEEP="half" is not allowed; allowed: a number from 0 to 1',
    ])
  })

  it('calls an unknown key of ours a mistake and guesses what was meant', () => {
    expect(
      problemsOf(() => sample.parse({ PLATEAU_MODEL: 'm', PLATEAU_HTPP_PORT: '1', PLATEAU_ZZZZZZZZZZZ: '1' })),
    ).toEqual([
      'PLATEAU_HTPP_PORT is not a setting of this service; did you mean PLATEAU_HTTP_PORT?',
      'PLATEAU_ZZZZZZZZZZZ is not a setting of this service',
    ])
  })

  it('treats an empty variable as not set', () => {
    expect(sample.parse({ PLATEAU_MODEL: 'm', PLATEAU_HTTP_PORT: '' }).httpPort).toBe(8080)
    expect(problemsOf(() => sample.parse({ PLATEAU_MODEL: '' }))[0]).toMatch(/^PLATEAU_MODEL is missing/)
  })

  it('refuses combinations that cannot work, once every field is valid', () => {
    const config = defineConfig(
      {
        low: integer({ env: 'PLATEAU_LOW', default: 1, help: '.' }),
        high: integer({ env: 'PLATEAU_HIGH', default: 2, help: '.' }),
      },
      { refuse: [({ low, high }) => (low > high ? `PLATEAU_LOW=${low} is above PLATEAU_HIGH=${high}` : undefined)] },
    )
    expect(problemsOf(() => config.parse({ PLATEAU_LOW: '3' }))).toEqual(['PLATEAU_LOW=3 is above PLATEAU_HIGH=2'])
    expect(problemsOf(() => mergeConfigs(sample, config).parse({ PLATEAU_MODEL: 'm', PLATEAU_LOW: '3' }))).toHaveLength(
      1,
    )
  })

  it('reads a secret from a file and never shows it', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'config-')), 'token')
    writeFileSync(file, 'hush\n')
    const values = sample.parse({ PLATEAU_MODEL: 'm', PLATEAU_TOKEN_FILE: file })
    expect(values.token?.reveal()).toBe('hush')
    const shown = [
      String(values.token),
      JSON.stringify(values),
      inspect(values),
      JSON.stringify(sample.describe(values)),
    ]
    for (const text of shown) expect(text).not.toContain('hush')
    expect(
      problemsOf(() => sample.parse({ PLATEAU_MODEL: 'm', PLATEAU_TOKEN: 'a', PLATEAU_TOKEN_FILE: file })),
    ).toEqual(['PLATEAU_TOKEN and PLATEAU_TOKEN_FILE are both set; set one'])
    expect(problemsOf(() => sample.parse({ PLATEAU_MODEL: 'm', PLATEAU_TOKEN_FILE: '/nowhere' }))[0]).toMatch(
      /cannot be read/,
    )
  })

  it('lists every field in its help', () => {
    const help = sample.help('serving')
    expect(help).toContain('PLATEAU_HTTP_PORT')
    expect(help).toContain('default 8080')
    expect(help).toContain('required')
    expect(help).toContain('PLATEAU_TOKEN or PLATEAU_TOKEN_FILE')
  })
})

describe('kinds', () => {
  const named = { env: 'PLATEAU_X', help: '.' }
  const ok = (field: Parameters<typeof optional>[0], value: string) =>
    defineConfig({ x: field }).parse({ PLATEAU_X: value }).x
  const refused = (field: Parameters<typeof optional>[0], value: string) => problemsOf(() => ok(field, value))[0]

  it.each([
    ['bytes', bytes(named), '8MiB', 8 * 1024 * 1024],
    ['plain bytes', bytes(named), '12', 12],
    ['seconds become milliseconds', seconds(named), '1.5', 1500],
    ['flag', flag(named), 'off', false],
    ['choice', choice({ ...named, of: ['a', 'b'] }), 'b', 'b'],
    ['address', address(named), '127.0.0.1:0', '127.0.0.1:0'],
    ['URL', httpUrl(named), 'http://collector:4318/otlp', 'http://collector:4318/otlp'],
    ['decimal', decimal(named), '1e-3', 0.001],
    ['list', list(integer(named)), '0, 2', [0, 2]],
    ['embedded event log', eventLogUrl(named), 'embedded:/data', { kind: 'embedded', directory: '/data' }],
    ['a directory', checkpointsUrl(named), '/var/lib/drafts', { kind: 'directory', directory: '/var/lib/drafts' }],
    ['a bucket', checkpointsUrl(named), 's3://drafts', { kind: 's3', bucket: 'drafts', prefix: '' }],
    ['a prefix', checkpointsUrl(named), 's3://my.drafts/a/b_1/', { kind: 's3', bucket: 'my.drafts', prefix: 'a/b_1/' }],
    ['a prefix alone', checkpointsUrl(named), 's3://drafts/a', { kind: 's3', bucket: 'drafts', prefix: 'a/' }],
    ['kafka', eventLogUrl(named), 'kafka:a:1,b:2', { kind: 'kafka', bootstrapServers: ['a:1', 'b:2'] }],
  ])('%s', (_, field, value, expected) => {
    expect(ok(field, value)).toEqual(expected)
  })

  it.each([
    ['bytes with a wrong unit', bytes(named), '8MB'],
    ['bytes out of bounds', bytes({ ...named, min: 10 }), '9'],
    ['negative port', port(named), '-1'],
    ['fractional integer', integer(named), '1.5'],
    ['integer above its bound', integer({ ...named, max: 3 }), '4'],
    ['share above 1', share(named), '1.01'],
    ['list with a value that is none', list(integer(named)), '1,x'],
    ['list with nothing between commas', list(integer(named)), '1,,2'],
    ['NaN', decimal(named), 'NaN'],
    ['flag', flag(named), 'true'],
    ['choice', choice({ ...named, of: ['a', 'b'] }), 'c'],
    ['URL of another scheme', httpUrl(named), 'grpc://collector:4317'],
    ['URL without a host', httpUrl(named), 'http://'],
    ['address without a port', address(named), 'localhost'],
    ['event log', eventLogUrl(named), 'redis:x'],
    ['a store of another kind', checkpointsUrl(named), 'gs://drafts'],
    ['a bucket in capitals', checkpointsUrl(named), 's3://Drafts'],
    ['no bucket', checkpointsUrl(named), 's3:///prefix'],
    ['a prefix that leads elsewhere', checkpointsUrl(named), 's3://drafts/a/../b'],
    ['a prefix with an empty part', checkpointsUrl(named), 's3://drafts/a//b'],
    ['missing directory', existingDirectory(named), '/no/such/place'],
    ['directory that is a file', existingDirectory(named), import.meta.filename],
    ['file that is a directory', existingFile(named), import.meta.dirname],
    ['missing path', existingPath(named), '/no/such/place'],
  ])('refuses %s', (_, field, value) => {
    expect(refused(field, value)).toMatch(/^PLATEAU_X=".*" is not allowed; allowed: \S+/)
  })
})
