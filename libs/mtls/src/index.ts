export {
  CertificateFiles,
  findCertificates,
  type CertificateEvent,
  type CertificateFilesOptions,
  type CertificatePaths,
} from './certificate-files.js'
export { type CertificateTexts, type CheckedCertificates } from './check-certificates.js'
export { identityOf, parseSpiffeId, serviceNames, spiffeId, type ServiceName, type SpiffeId } from './spiffe-id.js'
export {
  callerRefusal,
  serverRefusal,
  type CallerRefusal,
  type Callers,
  type MethodTable,
  type Trust,
} from './trust.js'
