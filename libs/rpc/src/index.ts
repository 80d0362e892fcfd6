export { type Authorize, type Caller } from './authorize.js'
export {
  callBidi,
  callServerStream,
  callUnary,
  createClient,
  ready,
  type BidiCall,
  type CallSettings,
  type ChannelSettings,
  type ClientConstructor,
} from './client.js'
export { bidiStream, serverStream, unary, type CallContext, type ReportError } from './handlers.js'
export { healthDefinition, HealthService, type ServingStatus } from './health.js'
export { fromServiceError, toStatus } from './rpc-error.js'
export { startServer, type RpcLimits, type RpcServer, type RpcServerOptions, type RpcService } from './server.js'
export { type Certificates, type CertificateTexts, type ClientTls } from './transport-security.js'
