export {
  issueCertificate,
  makeAuthority,
  validFor,
  type CertificateAndKey,
  type CertificateRequest,
  type Validity,
} from './authority.js'
