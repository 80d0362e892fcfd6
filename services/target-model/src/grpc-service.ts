import { PlateauError, target } from '@plateau/contracts'
import { bidiStream, serverStream, unary, type ReportError, type RpcService } from '@plateau/rpc'
import type { TargetMetrics } from './metrics.js'
import type { TargetCalls } from './target-calls.js'

type Method = 'describe' | 'generate' | 'score' | 'speculate'

/** TargetService for a gRPC server, with every call counted by how it ended. */
export function grpcTargetService(calls: TargetCalls, metrics: TargetMetrics, report: ReportError): RpcService {
  const ended = (method: Method, code: string): void => metrics.requests.add({ method, code })
  const implementation: target.TargetServiceServer = {
    describe: unary(async () => {
      ended('describe', 'OK')
      return calls.describe()
    }, report),
    generate: serverStream((request, context) => {
      return counted('generate', context.signal, calls.generate(request, context), ended)
    }, report),
    score: unary(async (request, context) => {
      try {
        const response = await calls.score(request, context)
        ended('score', 'OK')
        return response
      } catch (error) {
        ended('score', codeOf(error, context.signal))
        throw error
      }
    }, report),
    speculate: bidiStream((requests, context) => {
      return counted('speculate', context.signal, calls.speculate(requests, context), ended)
    }, report),
  }
  return { definition: target.TargetServiceService, implementation }
}

async function* counted<T>(
  method: Method,
  signal: AbortSignal,
  responses: AsyncGenerator<T>,
  ended: (method: Method, code: string) => void,
): AsyncGenerator<T> {
  let code = 'CANCELLED'
  try {
    yield* responses
    code = signal.aborted ? 'CANCELLED' : 'OK'
  } catch (error) {
    code = codeOf(error, signal)
    throw error
  } finally {
    ended(method, code)
  }
}

function codeOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'CANCELLED'
  return error instanceof PlateauError ? error.code : 'INTERNAL'
}
