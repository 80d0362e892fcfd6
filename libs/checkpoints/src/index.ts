export { retainNewest, type CheckpointStore, type StoreAccess, type StoredFile } from './checkpoint-store.js'
export { fileStore } from './file-store.js'
export {
  EVERY_TENANT,
  isTenantList,
  MANIFEST_FILE,
  parseManifest,
  sha256Hex,
  SIGNATURE_FILE,
  tenantDigest,
  verifySignature,
  type CheckpointEvaluation,
  type CheckpointFile,
  type CheckpointManifest,
  type TrainedThrough,
} from './manifest.js'
export { openCheckpoint, type CheckpointExpectations, type OpenedCheckpoint } from './open-checkpoint.js'
export { writeCheckpoint, type CheckpointReference } from './publish.js'
export { isStoreMisconfigured } from './s3/s3-errors.js'
export { type S3CredentialFiles, type S3Options } from './s3/s3-options.js'
export { s3Store } from './s3/s3-store.js'
export {
  generateSigningKey,
  readSigningKey,
  readVerifyingKey,
  writeSigningKey,
  type SigningKey,
  type VerifyingKey,
} from './signing-keys.js'
export { versionPath } from './store-names.js'
