import { createHash, sign, verify } from 'node:crypto'
import { PlateauError } from '@plateau/contracts'
import type { SigningKey, VerifyingKey } from './signing-keys.js'

/** What a checkpoint is, where it came from, and the digest of every file in it. manifest.json holds it. */
export interface CheckpointManifest {
  readonly schema: 1
  readonly lineage: string
  /** Rises by at least one with every checkpoint of a lineage, from 1. */
  readonly version: number
  /** The version it was trained from; 0 for the first. */
  readonly parent: number
  /** Kind of draft, for example "feature-fed-head". */
  readonly kind: string
  readonly files: readonly CheckpointFile[]
  readonly targetFingerprint: string
  readonly tokenizerHash: string
  /** Per topic and partition: the offset after the last record that training has seen. */
  readonly trainedThrough: readonly TrainedThrough[]
  /** The selection policy its training data passed. */
  readonly policy: string
  readonly evaluation: CheckpointEvaluation
  readonly trainedPositions: number
  /**
   * Whose windows gradient steps used that its weights go on from, as `tenantDigest` says them, sorted; EVERY_TENANT where
   * they were too many to tell apart. Absent: nobody knows, it was written before this was noted.
   */
  readonly gradientTenants?: readonly string[]
  /** The same of the closed form's sums that it stands on. */
  readonly sumTenants?: readonly string[]
  /** Version of the code that wrote it. */
  readonly codeVersion: string
  /** ISO 8601. */
  readonly createdAt: string
}

export interface CheckpointFile {
  /** Relative to the manifest; '/' separates folders. */
  readonly path: string
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
}

export interface TrainedThrough {
  readonly topic: string
  readonly partition: number
  readonly nextOffset: number
}

export interface CheckpointEvaluation {
  readonly positions: number
  /** Null where nothing was held out yet. */
  readonly alpha: number | null
  readonly parentAlpha: number | null
  readonly greedyMatch: number | null
}

export const MANIFEST_FILE = 'manifest.json'
export const SIGNATURE_FILE = 'manifest.json.sig'

/** All there is in a list of tenants: it may be anybody. */
export const EVERY_TENANT = '*'

/** How a manifest says a tenant ('' = the default one): the first 16 hex digits of its name's SHA-256. */
export function tenantDigest(name: string): string {
  return sha256Hex(Buffer.from(name)).slice(0, 16)
}

/** JSON with sorted keys and no spaces: one manifest has one byte sequence. */
export function canonicalBytes(manifest: CheckpointManifest): Buffer {
  return Buffer.from(`${canonicalJson(manifest)}\n`)
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Contents of manifest.json.sig: which key signed the manifest's bytes, and the Ed25519 signature in base64. */
export function signManifest(manifest: Uint8Array, key: SigningKey): Buffer {
  const signature = sign(null, manifest, key.privateKey).toString('base64')
  return Buffer.from(`${JSON.stringify({ algorithm: 'ed25519', keyId: key.id, signature })}\n`)
}

/** Throws CHECKPOINT_SIGNATURE_INVALID or CHECKPOINT_KEY_UNKNOWN. */
export function verifySignature(
  manifest: Uint8Array,
  signatureFile: Uint8Array,
  keys: readonly VerifyingKey[],
  where: string,
): void {
  const { keyId, signature } = parseSignature(signatureFile, where)
  const key = keys.find((candidate) => candidate.id === keyId)
  if (key === undefined) {
    throw new PlateauError(
      'CHECKPOINT_KEY_UNKNOWN',
      `${where} is signed with key ${keyId}, which is not one of the trusted keys`,
      {
        facts: { where, keyId, trusted: keys.map((trusted) => trusted.id).join(',') },
      },
    )
  }
  if (!verify(null, manifest, key.publicKey, signature)) {
    throw new PlateauError(
      'CHECKPOINT_SIGNATURE_INVALID',
      `the signature of ${where} does not fit its manifest: it was changed or damaged`,
      {
        facts: { where, keyId },
      },
    )
  }
}

function parseSignature(bytes: Uint8Array, where: string): { keyId: string; signature: Buffer } {
  const parsed = parseJson(bytes)
  if (!isObject(parsed) || parsed['algorithm'] !== 'ed25519') {
    throw new PlateauError(
      'CHECKPOINT_SIGNATURE_INVALID',
      `the signature file of ${where} is not an Ed25519 signature`,
      { facts: { where } },
    )
  }
  const { keyId, signature } = parsed
  if (typeof keyId !== 'string' || typeof signature !== 'string') {
    throw new PlateauError('CHECKPOINT_SIGNATURE_INVALID', `the signature file of ${where} lacks keyId or signature`, {
      facts: { where },
    })
  }
  return { keyId, signature: Buffer.from(signature, 'base64') }
}

/** Throws CHECKPOINT_MANIFEST_INVALID naming the field, or CHECKPOINT_PATH_UNSAFE. */
export function parseManifest(bytes: Uint8Array, where: string): CheckpointManifest {
  const parsed = parseJson(bytes)
  const fail = (field: string, expected: string): never => {
    throw new PlateauError('CHECKPOINT_MANIFEST_INVALID', `${where}: ${field} should be ${expected}`, {
      facts: { where, field },
    })
  }
  if (!isObject(parsed)) return fail('the manifest', 'a JSON object')
  for (const [field, isValid, expected] of FIELDS) if (!isValid(parsed[field])) fail(field, expected)
  const unknown = Object.keys(parsed).find((field) => !FIELDS.some(([known]) => known === field))
  if (unknown !== undefined) fail(unknown, 'absent: it is not a field of schema 1')
  const manifest = parsed as unknown as CheckpointManifest
  for (const file of manifest.files) mustBeSafePath(file.path, where)
  const paths = new Set(manifest.files.map((file) => file.path))
  if (paths.size !== manifest.files.length) fail('files', 'a list without duplicates')
  return manifest
}

/** A relative path that stays inside its folder, on every operating system and in every object store. */
export function isPlainPath(path: string): boolean {
  return path.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(part))
}

function mustBeSafePath(path: string, where: string): void {
  if (isPlainPath(path) && path !== MANIFEST_FILE && path !== SIGNATURE_FILE) return
  throw new PlateauError(
    'CHECKPOINT_PATH_UNSAFE',
    `${where} names the file ${JSON.stringify(path)}, which is not a plain path inside the checkpoint`,
    {
      facts: { where, path },
    },
  )
}

/** Whether it can stand as a manifest's `gradientTenants` or `sumTenants`; undefined: it was written before there were any. */
export function isTenantList(value: unknown): value is readonly string[] | undefined {
  if (value === undefined) return true
  if (!Array.isArray(value)) return false
  if (value.length === 1 && value[0] === EVERY_TENANT) return true
  return value.every((one, i) => /^[0-9a-f]{16}$/.test(String(one)) && (i === 0 || String(value[i - 1]) < String(one)))
}

type Check = (value: unknown) => boolean
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText: Check = (value) => typeof value === 'string' && value.length > 0
const isString: Check = (value) => typeof value === 'string'
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0
const isRate: Check = (value) => value === null || (typeof value === 'number' && value >= 0 && value <= 1.001)
const isListOf =
  (item: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(item)

const TENANTS = `a sorted list of 16 hex digits each, or ["${EVERY_TENANT}"]`

const FIELDS: readonly (readonly [keyof CheckpointManifest, Check, string])[] = [
  ['schema', (value) => value === 1, '1: this program reads no other schema'],
  ['lineage', isText, 'a name'],
  ['version', (value) => isCount(value) && value !== 0, 'a whole number from 1'],
  ['parent', isCount, 'a whole number from 0'],
  ['kind', isText, 'a kind of draft'],
  [
    'files',
    isListOf(
      (file) =>
        isObject(file) &&
        isText(file['path']) &&
        isCount(file['bytes']) &&
        /^[0-9a-f]{64}$/.test(String(file['sha256'])),
    ),
    'a list of {path, bytes, sha256}',
  ],
  ['targetFingerprint', isText, 'a digest'],
  ['tokenizerHash', isText, 'a digest'],
  [
    'trainedThrough',
    isListOf((at) => isObject(at) && isText(at['topic']) && isCount(at['partition']) && isCount(at['nextOffset'])),
    'a list of {topic, partition, nextOffset}',
  ],
  ['policy', isString, 'a text'],
  [
    'evaluation',
    (value) =>
      isObject(value) &&
      isCount(value['positions']) &&
      isRate(value['alpha']) &&
      isRate(value['parentAlpha']) &&
      isRate(value['greedyMatch']),
    '{positions, alpha, parentAlpha, greedyMatch}',
  ],
  ['trainedPositions', isCount, 'a whole number from 0'],
  ['gradientTenants', isTenantList, TENANTS],
  ['sumTenants', isTenantList, TENANTS],
  ['codeVersion', isText, 'a version'],
  ['createdAt', (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)), 'a time in ISO 8601'],
]

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const entries = Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`)
  return `{${entries.join(',')}}`
}
