import { PlateauError } from '@plateau/contracts'
import { startFaultyProxy, startS3, type Fault, type FaultyProxy, type S3Server } from '@plateau/s3-dev'
import { describeWithS3 } from '@plateau/s3-dev/testing'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CheckpointStore } from '../checkpoint-store.js'
import { checkpointStoreContract } from '../contract-suite.js'
import { openCheckpoint } from '../open-checkpoint.js'
import { writeCheckpoint } from '../publish.js'
import { generateSigningKey } from '../signing-keys.js'
import { aboutVersion, expectations, files, withCode } from '../testing.js'
import { isStoreMisconfigured } from './s3-errors.js'
import type { S3Options } from './s3-options.js'
import { s3Store } from './s3-store.js'
import { impatient, optionsFor, ownerOf, s3Place } from './testing.js'

const key = generateSigningKey()
const write = (store: CheckpointStore, version: number, content = files) =>
  writeCheckpoint(store, aboutVersion(version), content, key)
const mayPass = (code: string): unknown => expect.objectContaining({ code, retryable: true })

/** What it throws. */
async function thrownBy(asked: Promise<unknown>): Promise<PlateauError> {
  try {
    await asked
  } catch (error) {
    if (error instanceof PlateauError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describeWithS3('S3', () => {
  let server: S3Server
  beforeAll(async () => {
    server = await startS3()
  })
  afterAll(() => server.destroy())

  checkpointStoreContract('S3', () => Promise.resolve(s3Place(server)))

  describe('in a bucket', () => {
    test('more versions than a page are all listed', async () => {
      const { store, options } = s3Place(server)
      for (let version = 1; version <= 1100; version++) {
        const folder = join(server.bucketDirectory, options.prefix, 'default', `v${String(version).padStart(8, '0')}`)
        mkdirSync(folder, { recursive: true })
        for (const name of ['manifest.json', 'manifest.json.sig']) writeFileSync(join(folder, name), '{}')
      }
      expect(await store.versions('default')).toEqual(Array.from({ length: 1100 }, (_, i) => i + 1))
    })

    test('bytes that changed below the store are refused by their checksum', async () => {
      const { store, options } = s3Place(server)
      await store.putState('default', 'trainer', Buffer.alloc(5000, 1), 1)
      const file = join(server.bucketDirectory, options.prefix, 'default/state/trainer.e0000000001')
      const bytes = readFileSync(file)
      bytes[100] = 2
      writeFileSync(file, bytes)
      await expect(store.readState('default', 'trainer')).rejects.toEqual(withCode('CHECKPOINT_DAMAGED'))
    })

    test('what a writer left unfinished is passed over at first, and taken after two hours', async () => {
      const place = s3Place(server)
      await place.leaveUnfinished('default', 1)
      await expect(write(place.store, 1)).rejects.toEqual(withCode('CHECKPOINT_EXISTS'))
      const later = s3Store({ ...place.options, clock: () => Date.now() + 7_300_000 })
      await write(later, 1)
      expect(await later.versions('default')).toEqual([1])
    })

    test('what writers left unfinished for two hours is removed by the next version', async () => {
      const place = s3Place(server)
      await place.leaveUnfinished('default', 1)
      await write(place.store, 2)
      expect(await place.outside.paths()).toContain('default/v00000001/manifest.json.sig')
      await write(s3Store({ ...place.options, clock: () => Date.now() + 7_300_000 }), 3)
      expect((await place.outside.paths()).filter((path) => path.startsWith('default/v00000001'))).toEqual([])
      expect(await place.store.versions('default')).toEqual([2, 3])
    })
  })

  describe('behind a network that fails', () => {
    let proxy: FaultyProxy
    let place: ReturnType<typeof s3Place>
    let store: CheckpointStore

    beforeEach(async () => {
      proxy = await startFaultyProxy(server.endpoint)
      place = s3Place(server, { endpoint: proxy.endpoint, timing: impatient })
      store = place.store
    })
    afterEach(async () => {
      await proxy.close()
      await place.cleanUp()
    })

    /** Each fault once, on requests of this kind. */
    const meet = (method: string, name: string, ...faults: Fault[]): void => {
      proxy.fault = ({ method: asked, url }) =>
        asked === method && url?.split('?')[0]?.endsWith(name) ? faults.shift() : undefined
    }

    test.each([
      ['SlowDown', { kind: 'answer', status: 503, code: 'SlowDown' }],
      ['an internal error', { kind: 'answer', status: 500, code: 'InternalError' }],
      ['a connection that ends', { kind: 'cut' }],
      ['an answer that was lost', { kind: 'answer lost' }],
      ['a server that says nothing', { kind: 'silence' }],
    ] as const)('%s is tried again, and the version is written once', async (_, fault) => {
      meet('PUT', 'model.safetensors', fault)
      const reference = await write(store, 1)
      const opened = await openCheckpoint(store, reference, { ...expectations, publicKeys: [key] })
      expect(opened.files.get('model.safetensors')).toEqual(files[1]!.bytes)
    })

    test('an answer to the manifest that was lost does not make the version another one’s', async () => {
      meet('PUT', 'manifest.json', { kind: 'answer lost' })
      await write(store, 1)
      expect(await store.versions('default')).toEqual([1])
    })

    test('a state whose answer was lost is replaced by the next one all the same', async () => {
      await store.putState('default', 'trainer', Buffer.from('one'), 4)
      meet('PUT', 'e0000000004', { kind: 'answer lost' })
      await store.putState('default', 'trainer', Buffer.from('two'), 4)
      await store.putState('default', 'trainer', Buffer.from('three'), 4)
      expect(await store.readState('default', 'trainer')).toEqual(Buffer.from('three'))
    })

    test.each([
      ['a body that breaks off', { kind: 'cut', afterBytes: 100 }],
      ['a bit that flipped on the way', { kind: 'flip' }],
    ] as const)('%s is asked for again', async (_, fault) => {
      await write(store, 1)
      meet('GET', 'model.safetensors', fault)
      expect(await store.read('default/v00000001/model.safetensors', 1000)).toEqual(files[1]!.bytes)
    })

    test('bits that flip every time are a damage, not a version', async () => {
      await write(store, 1)
      proxy.fault = () => ({ kind: 'flip' })
      await expect(store.read('default/v00000001/model.safetensors', 1000)).rejects.toEqual(
        withCode('CHECKPOINT_DAMAGED'),
      )
    })

    test('a publication that the network ends is invisible, and its number is used by the next try', async () => {
      proxy.fault = ({ method, url }) =>
        method === 'PUT' && url?.includes('model') ? { kind: 'answer', status: 500, code: 'InternalError' } : undefined
      await expect(write(store, 1)).rejects.toEqual(mayPass('STORE_UNAVAILABLE'))
      expect(await store.versions('default')).toEqual([])
      proxy.fault = () => undefined
      const other = [{ path: 'model.safetensors', bytes: Buffer.from('trained further meanwhile') }]
      const reference = await write(store, 1, other)
      const opened = await openCheckpoint(store, reference, { ...expectations, publicKeys: [key] })
      expect(opened.files.get('model.safetensors')).toEqual(other[0]!.bytes)
    })

    test('what another writer is writing is not taken for what we left', async () => {
      proxy.fault = ({ method }) =>
        method === 'PUT' ? { kind: 'answer', status: 500, code: 'InternalError' } : undefined
      await expect(write(store, 1)).rejects.toEqual(mayPass('STORE_UNAVAILABLE'))
      proxy.fault = () => undefined
      await place.leaveUnfinished('default', 1)
      await expect(write(store, 1)).rejects.toEqual(withCode('CHECKPOINT_EXISTS'))
      expect(await place.outside.paths()).toEqual(['default/v00000001/manifest.json.sig'])
    })

    test('a manifest of which nobody knows whether it arrived keeps its number', async () => {
      const lost: Fault = { kind: 'answer lost' }
      meet('PUT', 'manifest.json', lost, lost)
      proxy.fault = (
        (before) => (request) =>
          request.method === 'HEAD' ? { kind: 'cut' as const } : before(request)
      )(proxy.fault)
      await expect(write(store, 1)).rejects.toEqual(mayPass('STORE_UNAVAILABLE'))
      proxy.fault = () => undefined
      await expect(write(store, 1, [{ path: 'other', bytes: Buffer.from('x') }])).rejects.toEqual(
        withCode('CHECKPOINT_EXISTS'),
      )
      expect(await store.versions('default')).toEqual([1])
    })

    test('a server that never answers is given up in time, and so is a caller that gives up', async () => {
      proxy.fault = () => ({ kind: 'silence' })
      await expect(store.versions('default')).rejects.toEqual(mayPass('STORE_UNAVAILABLE'))
      const stop = new AbortController()
      const asked = store.read('default/file', 10, stop.signal)
      const why = new Error('no longer wanted')
      stop.abort(why)
      await expect(asked).rejects.toBe(why)
    })

    test('a slow server is waited for', async () => {
      proxy.fault = () => ({ kind: 'delay', ms: 100 })
      await write(store, 1)
      expect(await store.versions('default')).toEqual([1])
    })

    test('a store that is throttled all the time is away, with what it says', async () => {
      proxy.fault = () => ({ kind: 'answer', status: 503, code: 'SlowDown' })
      const error = await thrownBy(store.versions('default'))
      expect([error.code, error.retryable, error.message]).toEqual([
        'STORE_UNAVAILABLE',
        true,
        expect.stringContaining('503 SlowDown'),
      ])
    })

    test.each([['if-none-match'], ['if-match']])('a bucket that ignores %s is found out', async (header) => {
      let asked = 0
      proxy.fault = ({ headers }) => {
        const isIgnored = headers[header] !== undefined && (header === 'if-match' || ++asked > 1)
        return isIgnored ? { kind: 'answer', status: 200 } : undefined
      }
      await expect(store.check('write')).rejects.toEqual(
        expect.objectContaining({ code: 'STORE_NO_CONDITIONS', message: expect.stringContaining('If-None-Match') }),
      )
    })
  })

  describe('that dies', () => {
    test('in the middle of a version leaves none; it is published when the server is back', async () => {
      const mortal = await startS3()
      try {
        const { options } = s3Place(mortal, { timing: impatient })
        const store = s3Store(options)
        await write(store, 1)
        const writing = Promise.allSettled(
          Array.from({ length: 40 }, (_, i) =>
            write(store, i + 2, [{ path: 'model', bytes: Buffer.alloc(300_000, i) }]),
          ),
        )
        await mortal.kill9()
        const outcomes = await writing
        const reasons = outcomes.flatMap((outcome) =>
          outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
        )
        expect(reasons.length).toBeGreaterThan(0)
        expect(reasons).toEqual(reasons.map(() => mayPass('STORE_UNAVAILABLE')))
        await expect(store.versions('default')).rejects.toEqual(mayPass('STORE_UNAVAILABLE'))
        await mortal.start()
        // Whatever is listed is whole; whatever is not can be written.
        const listed = await store.versions('default')
        for (const version of listed) {
          const folder = `default/v${String(version).padStart(8, '0')}`
          const manifest = JSON.parse((await store.read(`${folder}/manifest.json`, 10_000)).toString()) as {
            files: { path: string; bytes: number }[]
          }
          for (const { path, bytes } of manifest.files)
            expect(await store.read(`${folder}/${path}`, bytes)).toHaveLength(bytes)
        }
        for (const [i, outcome] of outcomes.entries()) {
          if (outcome.status === 'rejected' && !listed.includes(i + 2)) await write(store, i + 2)
        }
        expect(await store.versions('default')).toEqual(Array.from({ length: 41 }, (_, i) => i + 1))
      } finally {
        await mortal.destroy()
      }
    })
  })

  describe('with settings that are wrong', () => {
    const asked = (changes: Partial<S3Options>): Promise<PlateauError> =>
      thrownBy(s3Store(optionsFor(server, { timing: impatient, ...changes })).check('read'))
    const file = (name: string, text: string): string => {
      writeFileSync(join(server.directory, name), text)
      return join(server.directory, name)
    }

    test.each([
      ['STORE_BUCKET_MISSING', { bucket: 'no-such-bucket' }, /no bucket no-such-bucket/],
      ['STORE_REGION', { region: 'eu-west-1' }, /is not in region eu-west-1/],
      ['STORE_UNAVAILABLE', { endpoint: 'http://127.0.0.1:9' }, /ECONNREFUSED/],
      ['STORE_UNAVAILABLE', { endpoint: 'http://no.such.host.invalid' }, /no\.such\.host\.invalid/],
      ['STORE_CERTIFICATE', { caFile: '/no/such/file.pem' }, /no\/such\/file\.pem/],
    ] as const)('%s says so', async (code, changes, sentence) => {
      const error = await asked(changes)
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(sentence)])
      expect(isStoreMisconfigured(error)).toBe(code !== 'STORE_UNAVAILABLE')
    })

    test.each([
      ['a wrong secret', 'plateau-dev', 'hush', /SignatureDoesNotMatch/],
      ['an unknown key', 'stranger', 'hush', /InvalidAccessKeyId/],
      ['an empty file', 'plateau-dev', '', /is empty/],
      ['two lines', 'plateau-dev', 'one\ntwo', /more than one word/],
    ])('%s is a wrong credential, and is shown nowhere', async (_, id, secret, sentence) => {
      const credentials = { accessKeyIdFile: file('other-id', id), secretAccessKeyFile: file('other-secret', secret) }
      const error = await asked({ credentials })
      expect([error.code, error.message]).toEqual(['STORE_CREDENTIALS', expect.stringMatching(sentence)])
      expect(`${error.message} ${JSON.stringify(error.facts)}`).not.toContain(secret || 'anything')
    })
  })

  test('keys are replaced while it runs', async () => {
    await server.addUser('rotated', 'first-secret')
    const files = {
      accessKeyIdFile: join(server.directory, 'id'),
      secretAccessKeyFile: join(server.directory, 'secret'),
    }
    const { settings, credentialFiles } = server
    writeFileSync(files.accessKeyIdFile, 'rotated')
    writeFileSync(files.secretAccessKeyFile, 'out of date')
    const store = s3Store(optionsFor(server, { credentials: files, timing: impatient }))
    await expect(store.check('read')).rejects.toEqual(mayPass('STORE_CREDENTIALS'))
    writeFileSync(files.secretAccessKeyFile, 'wrong')
    await expect(store.check('read')).rejects.toEqual(mayPass('STORE_CREDENTIALS'))
    writeFileSync(files.accessKeyIdFile, `${settings.accessKeyId}\n`)
    writeFileSync(files.secretAccessKeyFile, readFileSync(credentialFiles.secretAccessKeyFile))
    await store.check('read')
  })

  test('the policy of the documents lets the trainer write and readers only read', async () => {
    const text = readFileSync(new URL('../../bucket-policy.json', import.meta.url), 'utf8')
    // This server calls a user by the access key alone.
    const names = { 'arn:aws:iam::ACCOUNT:role/': '', BUCKET: server.settings.bucket, PREFIX: 'drafts' }
    const documented = Object.entries(names).reduce((policy, [name, is]) => policy.replaceAll(name, is), text)
    const as = async (name: string): Promise<CheckpointStore> => {
      await server.addUser(name, `secret-of-${name}`)
      const credentials = {
        accessKeyIdFile: join(server.directory, `${name}-id`),
        secretAccessKeyFile: join(server.directory, `${name}-secret`),
      }
      writeFileSync(credentials.accessKeyIdFile, name)
      writeFileSync(credentials.secretAccessKeyFile, `secret-of-${name}`)
      return s3Store(optionsFor(server, { credentials, timing: impatient }))
    }
    const [trainer, serving] = [await as('plateau-trainer'), await as('plateau-serving')]
    await as('plateau-console')
    await expect(serving.check('read')).rejects.toEqual(mayPass('STORE_DENIED'))
    await ownerOf(server).allow(JSON.parse(documented))
    await trainer.check('write')
    const reference = await write(trainer, 1)
    await trainer.putState('default', 'trainer', Buffer.from('state'), 1)
    await serving.check('read')
    await openCheckpoint(serving, reference, { ...expectations, publicKeys: [key] })
    await expect(write(serving, 2)).rejects.toEqual(mayPass('STORE_DENIED'))
    await expect(serving.remove('default', 1)).rejects.toEqual(mayPass('STORE_DENIED'))
    await trainer.remove('default', 1)
  })
})

describeWithS3('S3 by TLS', () => {
  test('a store whose authority is named is used, any other is refused', async () => {
    const server = await startS3({ tls: true })
    try {
      await write(s3Store(optionsFor(server)), 1)
      const strangers = s3Store(optionsFor(server, { caFile: undefined, timing: impatient }))
      await expect(strangers.versions('default')).rejects.toEqual(mayPass('STORE_CERTIFICATE'))
    } finally {
      await server.destroy()
    }
  })
})
