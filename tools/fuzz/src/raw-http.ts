import { connect } from 'node:net'

/** Longest time for an answer by the clock; a server that says nothing to a whole request is one that hangs. */
const ANSWER_MS = 10_000
const QUIET_MS = 200

/**
 * Sends these bytes as they are and returns all that comes back until the connection is closed. After `quietMs` without a
 * word from the server the client ends its side: a request that promises more than it brings ends there, and so does a
 * connection that would be kept.
 */
export function sendRaw(port: number, bytes: Uint8Array, quietMs = QUIET_MS): Promise<string> {
  const answer = Promise.withResolvers<string>()
  const chunks: Buffer[] = []
  const socket = connect({ port, host: '127.0.0.1' })
  const end = (): void => answer.resolve(Buffer.concat(chunks).toString('latin1'))
  const quiet = setTimeout(() => socket.end(), quietMs)
  const timer = setTimeout(() => {
    socket.destroy()
    answer.reject(new Error(`no end of the answer within ${ANSWER_MS / 1000} s`))
  }, ANSWER_MS)
  socket
    .on('data', (chunk) => {
      chunks.push(chunk)
      quiet.refresh()
    })
    // The server may close before it has read everything.
    .on('error', end)
    .on('close', end)
  socket.write(bytes)
  return answer.promise.finally(() => {
    clearTimeout(quiet)
    clearTimeout(timer)
  })
}

/** Statuses of all answers on the connection, in order. */
export function statusesOf(answer: string): number[] {
  return [...answer.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
}
