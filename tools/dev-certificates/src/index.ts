export {
  issueCertificate,
  makeAuthority,
  validFor,
  type CertificateAndKey,
  type CertificateRequest,
  type Validity,
} from './authority.js'
export { holderFiles, issueInto, type Holder, type HolderFiles, type IssueOptions } from './certificate-directory.js'
