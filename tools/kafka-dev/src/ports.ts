import { createServer, type Server } from 'node:net'
import { KafkaDevError } from './errors.js'

/**
 * Below the range that the system hands out to outgoing connections: a broker that was killed must find its port free
 * when it returns, while its clients keep knocking.
 */
const lowest = 20_000
const highest = 31_999

/** That many different free ports on loopback. They are held together while chosen, and free when this resolves. */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = []
  const ports: number[] = []
  for (let attempt = 0; ports.length < count && attempt < 1000; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1))
    const server = await hold(port)
    if (server === undefined) continue
    held.push(server)
    ports.push(port)
  }
  await Promise.all(held.map((server) => new Promise((done) => server.close(done))))
  if (ports.length === count) return ports
  throw new KafkaDevError('PORT_TAKEN', `no ${count} free ports between ${lowest} and ${highest}`)
}

export async function isFree(port: number): Promise<boolean> {
  const server = await hold(port)
  if (server !== undefined) await new Promise((done) => server.close(done))
  return server !== undefined
}

function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('listening', () => resolve(server))
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' || error.code === 'EACCES' ? resolve(undefined) : reject(error),
    )
    server.listen({ port, host: '127.0.0.1', exclusive: true })
  })
}
