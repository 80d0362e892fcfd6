import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import type { S3Server } from '@plateau/s3-dev'
import { readFileSync } from 'node:fs'
import type { StoreUnderTest } from '../contract-suite.js'
import type { S3Options, S3Timing } from './s3-options.js'
import { s3Store } from './s3-store.js'

/** So that what is away or hangs is noticed soon. */
export const impatient: Partial<S3Timing> = { connectMs: 500, idleMs: 500, requestMs: 1500, attempts: 2 }

export function optionsFor(server: S3Server, changes: Partial<S3Options> = {}): S3Options {
  const { bucket, region } = server.settings
  const { endpoint, caFile, credentialFiles: credentials } = server
  return { bucket, prefix: 'drafts/', region, endpoint, credentials, caFile, ...changes }
}

/** The bucket as its owner sees it, with nothing of ours in between. */
export function ownerOf(server: S3Server, prefix = '') {
  const { bucket: Bucket, region, accessKeyId, secretAccessKey } = server.settings
  const credentials = { accessKeyId, secretAccessKey }
  const ca = server.caFile === undefined ? {} : { ca: readFileSync(server.caFile) }
  const requestHandler = { httpsAgent: ca }
  const s3 = new S3Client({ endpoint: server.endpoint, region, credentials, forcePathStyle: true, requestHandler })
  return {
    write: async (path: string, bytes: Uint8Array) => {
      await s3.send(new PutObjectCommand({ Bucket, Key: prefix + path, Body: bytes }))
    },
    read: async (path: string) => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: prefix + path }))
      return Buffer.from(await Body!.transformToByteArray())
    },
    remove: async (path: string) => {
      await s3.send(new DeleteObjectCommand({ Bucket, Key: prefix + path }))
    },
    paths: async () => {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }))
      return Contents.map(({ Key }) => Key!.slice(prefix.length)).toSorted()
    },
    allow: async (policy: unknown) => {
      await s3.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify(policy) }))
    },
  }
}

let places = 0

/** A prefix of its own in the server's bucket. */
export function s3Place(
  server: S3Server,
  changes: Partial<S3Options> = {},
): StoreUnderTest & { readonly options: S3Options } {
  const prefix = `place-${process.pid}-${++places}/`
  const options = optionsFor(server, { prefix, ...changes })
  const outside = ownerOf(server, prefix)
  return {
    options,
    store: s3Store(options),
    another: () => s3Store(options),
    outside,
    leaveUnfinished: (lineage, version) => {
      const folder = `${lineage}/v${String(version).padStart(8, '0')}`
      return outside.write(`${folder}/manifest.json.sig`, Buffer.from('the signature of a version that never came'))
    },
    cleanUp: async () => {
      for (const path of await outside.paths()) await outside.remove(path)
    },
  }
}
