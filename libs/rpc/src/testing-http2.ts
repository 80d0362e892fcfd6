/** A gRPC client that keeps no deadline of its own and reads only when told to: plain HTTP/2. */
import { connect } from 'node:http2'
import { onTestFinished } from 'vitest'

export interface RawCall {
  /** Resolves with the trailing "grpc-status" once the response has been read to its end. */
  status(): Promise<string>
}

export function rawCall(address: string, path: string, message: Uint8Array, timeout: string): RawCall {
  const session = connect(`http://${address}`)
  onTestFinished(() => session.destroy())
  const call = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': timeout,
  })
  const length = Buffer.alloc(5)
  length.writeUInt32BE(message.length, 1)
  call.end(Buffer.concat([length, message]))
  return {
    status: () =>
      new Promise((resolve, reject) => {
        call.on('error', reject)
        call.on('response', ({ 'grpc-status': status }) => status !== undefined && resolve(String(status)))
        call.on('trailers', ({ 'grpc-status': status }) => resolve(String(status)))
        call.resume()
      }),
  }
}
