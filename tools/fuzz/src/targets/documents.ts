import { generateSigningKey, parseManifest, verifySignature, type VerifyingKey } from '@plateau/checkpoints'
import fc from 'fast-check'
import { sign } from 'node:crypto'
import type { FuzzTarget } from '../fuzz-target.js'
import { deepJson, jsonWith } from '../json-values.js'
import { accepted } from '../refusal.js'

const limits = { inputMs: 1000, memoryMiB: 32, inputBytes: 2 ** 20 }
const HEX_64 = 'ab'.repeat(32)

const manifest = {
  schema: 1,
  lineage: 'default',
  version: 3,
  parent: 2,
  kind: 'feature-fed-head',
  files: [{ path: 'model.safetensors', bytes: 12, sha256: HEX_64 }],
  targetFingerprint: HEX_64,
  tokenizerHash: HEX_64,
  trainedThrough: [{ topic: 'internal.plateau.training-windows.v1', partition: 0, nextOffset: 17 }],
  policy: 'none',
  evaluation: { positions: 10, alpha: 0.5, parentAlpha: null, greedyMatch: 0.25 },
  trainedPositions: 100,
  gradientTenants: ['0123456789abcdef'],
  sumTenants: ['*'],
  codeVersion: '0.1.0',
  createdAt: '2026-01-01T00:00:00Z',
}

export const manifests: FuzzTarget = {
  name: 'manifest',
  summary: 'manifest.json of a checkpoint: fields, sizes, paths, nesting',
  limits,
  shortRuns: 1500,
  open: async () => ({
    corpus: [Buffer.from(JSON.stringify(manifest))],
    generated: fc.oneof(deepJson, jsonWith([...Object.keys(manifest), 'path', 'bytes', 'sha256'])),
    run: (input) =>
      accepted(['CHECKPOINT_MANIFEST_INVALID', 'CHECKPOINT_PATH_UNSAFE'], () => {
        const parsed = parseManifest(input, 'm')
        const outside = parsed.files.find(({ path }) => path.startsWith('/') || path.split('/').includes('..'))
        if (outside !== undefined) throw new Error(`a path leads outside: ${outside.path}`)
      }),
  }),
}

export const signatures: FuzzTarget = {
  name: 'signature',
  summary: 'manifest.json.sig beside a manifest',
  limits,
  shortRuns: 1000,
  open: async () => {
    const { id, publicKey, privateKey } = generateSigningKey()
    const signed = Buffer.from('{}')
    const signature = sign(null, signed, privateKey)
    const keys: VerifyingKey[] = [{ id, publicKey }]
    const seed = JSON.stringify({ algorithm: 'ed25519', keyId: id, signature: signature.toString('base64') })
    return {
      corpus: [Buffer.from(seed)],
      generated: fc.oneof(deepJson, jsonWith(['algorithm', 'keyId', 'signature'])),
      run: (input) =>
        accepted(['CHECKPOINT_SIGNATURE_INVALID', 'CHECKPOINT_KEY_UNKNOWN'], () => {
          verifySignature(signed, input, keys, 'm')
          const taken = JSON.parse(Buffer.from(input).toString('utf8')) as { readonly signature: string }
          if (!Buffer.from(taken.signature, 'base64').equals(signature))
            throw new Error('a signature was taken that nobody made')
        }),
    }
  },
}

export const keysFiles: FuzzTarget = {
  name: 'keys-json',
  summary: 'the file of API keys',
  limits,
  shortRuns: 1000,
  open: async () => {
    const { parseApiKeys } = await import('@plateau/serving')
    const key = { name: 'app', sha256: HEX_64, tenant: 'acme', admin: false, capture: true, requestsPerMinute: 60 }
    return {
      corpus: [{ keys: [key] }, { keys: [key, { ...key, name: 'b', sha256: 'cd'.repeat(32), maxConcurrent: 2 }] }].map(
        (file) => Buffer.from(JSON.stringify(file)),
      ),
      generated: fc.oneof(deepJson, jsonWith(['keys', ...Object.keys(key), 'tokensPerMinute'])),
      run: (input) => accepted(['API_KEYS_INVALID'], () => parseApiKeys(Buffer.from(input).toString('utf8'))),
    }
  },
}
