import net from 'node:net'
import type { BrokerAddress } from '../options.js'

const PRODUCE = 0
const LENGTH_BYTES = 4

/**
 * Stands between clients and brokers and can lose the answers to Produce requests: the broker has written the records, the
 * connection breaks, and the client does not know. Everything else passes.
 */
export class AnswerThief {
  readonly #servers = new Map<string, Promise<net.Server>>()
  readonly #sockets = new Set<net.Socket>()
  #left = 0
  stolen = 0

  /** The next `count` answers are lost. */
  steal(count: number): void {
    this.#left = count
  }

  /** A port that leads to that broker, through here. */
  async portTo(broker: BrokerAddress): Promise<number> {
    const key = `${broker.host}:${broker.port}`
    let server = this.#servers.get(key)
    if (server === undefined) {
      server = this.#listen(broker)
      this.#servers.set(key, server)
    }
    return ((await server).address() as net.AddressInfo).port
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    for (const server of this.#servers.values()) (await server).close()
  }

  #listen(broker: BrokerAddress): Promise<net.Server> {
    const server = net.createServer((client) => this.#join(client, net.connect({ ...broker })))
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => resolve(server))
    })
  }

  #join(client: net.Socket, broker: net.Socket): void {
    const produces = new Set<number>()
    const part = () => {
      client.destroy()
      broker.destroy()
    }
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      socket.on('error', part)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        part()
      })
    }
    client.on(
      'data',
      framed((request) => {
        if (request.readInt16BE(LENGTH_BYTES) === PRODUCE) produces.add(request.readInt32BE(LENGTH_BYTES + 4))
        broker.write(request)
      }),
    )
    broker.on(
      'data',
      framed((answer) => {
        if (this.#left > 0 && produces.has(answer.readInt32BE(LENGTH_BYTES))) {
          this.#left--
          this.stolen++
          part()
        } else if (!client.destroyed) client.write(answer)
      }),
    )
  }
}

/** Cuts a stream into Kafka's length-prefixed messages. */
function framed(onMessage: (message: Buffer) => void): (data: Buffer) => void {
  let held: Buffer = Buffer.alloc(0)
  return (data) => {
    held = held.length === 0 ? data : Buffer.concat([held, data])
    while (held.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + held.readInt32BE(0)
      if (held.length < end) return
      const message = held.subarray(0, end)
      held = held.subarray(end)
      onMessage(message)
    }
  }
}
