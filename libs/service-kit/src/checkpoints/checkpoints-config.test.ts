import { ConfigError } from '@plateau/config'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { checkpointsConfig } from './checkpoints-config.js'
import { openCheckpoints } from './open-checkpoints.js'

const directory = mkdtempSync(join(tmpdir(), 'plateau-checkpoints-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function file(name: string): string {
  writeFileSync(join(directory, name), 'hush')
  return join(directory, name)
}

function problemsOf(environment: Record<string, string>): string {
  try {
    checkpointsConfig.parse(environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('\n')
    throw error
  }
  return 'nothing was refused'
}

const bucket = { PLATEAU_CHECKPOINTS: 's3://drafts/team-a' }
const keys = { PLATEAU_S3_ACCESS_KEY_ID_FILE: file('id'), PLATEAU_S3_SECRET_ACCESS_KEY_FILE: file('secret') }

describe('the settings of the checkpoint store', () => {
  test('a directory needs no more', async () => {
    const store = await openCheckpoints(checkpointsConfig.parse({ PLATEAU_CHECKPOINTS: directory }))
    expect(store.where).toBe(directory)
  })

  test('a bucket is opened without being asked anything', async () => {
    const settings = {
      ...bucket,
      ...keys,
      PLATEAU_S3_ENDPOINT: 'https://s3.example.com',
      PLATEAU_S3_CA_FILE: file('ca'),
    }
    const store = await openCheckpoints(checkpointsConfig.parse(settings))
    expect(store.where).toBe('s3://drafts/team-a at https://s3.example.com')
  })

  test('a key is named by its file, and its text shown nowhere', () => {
    const config = checkpointsConfig.parse({ ...bucket, ...keys })
    expect(JSON.stringify(checkpointsConfig.describe(config))).not.toContain('hush')
    expect(problemsOf({ ...bucket, PLATEAU_S3_SECRET_ACCESS_KEY: 'hush' })).toMatch(
      /did you mean PLATEAU_S3_SECRET_ACCESS_KEY_FILE/,
    )
  })

  test.each([
    [{ PLATEAU_S3_ENDPOINT: 'http://s3:9000' }, /are for PLATEAU_CHECKPOINTS=s3:/],
    [{ ...bucket, PLATEAU_S3_ACCESS_KEY_ID_FILE: keys.PLATEAU_S3_ACCESS_KEY_ID_FILE }, /belong together/],
    [{ ...bucket, PLATEAU_S3_ENDPOINT: 's3.example.com:9000' }, /not an http or https URL/],
    [{ ...bucket, PLATEAU_S3_ENDPOINT: 'http://s3.example.com/drafts' }, /without path/],
    [{ ...bucket, PLATEAU_S3_ENDPOINT: 'http://s3:9000', PLATEAU_S3_CA_FILE: file('ca') }, /https/],
    [{ ...bucket, PLATEAU_S3_CA_FILE: '/no/such/file' }, /nothing is there/],
    [{ PLATEAU_CHECKPOINTS: 's3://Drafts' }, /lower-case/],
    [{ PLATEAU_CHECKPOINTS: 'gs://drafts' }, /s3:\/\/bucket\/prefix/],
  ])('refuses %o', (environment, problem) => {
    expect(problemsOf(environment)).toMatch(problem)
  })
})
