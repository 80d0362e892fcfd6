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

test('orders are taken from other machines only with keys', () => {
  const everywhere = { PLATEAU_ADMIN_ADDRESS: '0.0.0.0:7081' }
  expect(() => parse(everywhere)).toThrow(/PLATEAU_ADMIN_ADDRESS=0\.0\.0\.0:7081 is reached from other machines/)
  expect(parse({ ...everywhere, PLATEAU_API_KEYS_FILE: 'keys.json' }).adminAddress).toBe('0.0.0.0:7081')
  expect(parse({}).adminAddress).toBe('127.0.0.1:7081')
})
