import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { servingConfig } from './config.js'

function parse(settings: Record<string, string>) {
  const directory = mkdtempSync(join(tmpdir(), 'serving-config-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const keys = join(directory, 'keys.json')
  writeFileSync(keys, '{"keys":[]}')
  const withKeys = settings['PLATEAU_API_KEYS_FILE'] === undefined ? {} : { PLATEAU_API_KEYS_FILE: keys }
  return servingConfig.parse({ PLATEAU_MODEL: directory, PLATEAU_SPECULATION: 'off', ...settings, ...withKeys })
}

test('orders are taken from other machines only with keys, and in plaintext only where that is allowed', () => {
  const everywhere = { PLATEAU_ADMIN_ADDRESS: '0.0.0.0:7081', PLATEAU_PLAINTEXT: 'allowed' }
  expect(() => parse(everywhere)).toThrow(/PLATEAU_ADMIN_ADDRESS=0\.0\.0\.0:7081 .* everybody there could give orders/)
  expect(() => parse({ ...everywhere, PLATEAU_API_KEYS_FILE: 'keys.json', PLATEAU_PLAINTEXT: 'loopback' })).toThrow(
    /PLATEAU_ADMIN_ADDRESS=0\.0\.0\.0:7081 is reached from other machines, in plaintext/,
  )
  expect(() => parse({ PLATEAU_GRPC_ADDRESS: '10.0.0.7:7080' })).toThrow(
    /PLATEAU_GRPC_ADDRESS=10\.0\.0\.7:7080 is reached/,
  )
  expect(parse({ ...everywhere, PLATEAU_API_KEYS_FILE: 'keys.json' }).adminAddress).toBe('0.0.0.0:7081')
  expect(parse({}).adminAddress).toBe('127.0.0.1:7081')
})
