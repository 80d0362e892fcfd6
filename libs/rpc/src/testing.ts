/** A target service of which a test writes the methods that it is about, served in this process, and a client. */
import { PlateauError, target } from '@plateau/contracts'
import { onTestFinished } from 'vitest'
import { createClient } from './client.js'
import { bidiStream, serverStream, unary, type CallContext } from './handlers.js'
import { startServer, type RpcServer, type RpcServerOptions } from './server.js'

export interface Fake {
  generate?: (request: target.GenerateRequest, context: CallContext) => AsyncIterable<target.GenerateResponse>
  score?: (request: target.ScoreRequest, context: CallContext) => Promise<target.ScoreResponse>
  speculate?: (
    requests: AsyncIterable<target.SpeculateRequest>,
    context: CallContext,
  ) => AsyncIterable<target.SpeculateResponse>
}

export async function serve(fake: Fake, options: Partial<RpcServerOptions> = {}) {
  const reported: unknown[] = []
  const report = (error: unknown): void => void reported.push(error)
  const missing = () => {
    throw new PlateauError('UNIMPLEMENTED', 'not part of this test')
  }
  const implementation: target.TargetServiceServer = {
    describe: unary(async () => missing(), report),
    generate: serverStream(fake.generate ?? missing, report),
    score: unary(fake.score ?? (async () => missing()), report),
    speculate: bidiStream(fake.speculate ?? missing, report),
  }
  const services = [{ definition: target.TargetServiceService, implementation }]
  const server = await startServer({ address: '127.0.0.1:0', services, report, ...options })
  onTestFinished(() => server.drain(0))
  return { server, client: dial(server), reported }
}

function dial(server: RpcServer): target.TargetServiceClient {
  const client = createClient(target.TargetServiceClient, server.address)
  onTestFinished(() => client.close())
  return client
}

export const scoreRequest = target.ScoreRequest.fromPartial({ promptTokenIds: [1] })
export const generateRequest = target.GenerateRequest.fromPartial({ promptTokenIds: [1] })
export const token = (tokenId: number) => target.GenerateResponse.fromPartial({ tokenId })
export const verdict = (accepted: number) => target.SpeculateResponse.fromPartial({ verdict: { accepted } })
