import net from 'node:net'
import type { BrokerAddress } from '../options.js'

const PRODUCE = 0
const LENGTH_BYTES = 4

/**
 * Stands between clients and brokers and can lose or falsify the answers to Produce requests: the broker has written the
 * records, and the client does not know. Or the requests do not arrive. Everything else passes.
 */
export class AnswerThief {
  readonly #servers = new Map<string, Promise<net.Server>>()
  readonly #sockets = new Set<net.Socket>()
  #left = 0
  #heldPort: number | undefined
  #falsified: { readonly errorCode: number } | undefined
  stolen = 0

  /** The next `count` answers are lost. */
  steal(count: number): void {
    this.#left = count
  }

  /** From now on Produce requests to the broker at this port stay here, as if it were slow. */
  hold(brokerPort: number): void {
    this.#heldPort = brokerPort
  }

  letPass(): void {
    this.#heldPort = undefined
  }

  /** The next answer, to a request for one partition, says this error in place of what it said. */
  falsify(errorCode: number): void {
    this.#falsified = { errorCode }
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
    const server = net.createServer((client) => this.#join(client, net.connect({ ...broker }), broker.port))
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => resolve(server))
    })
  }

  #join(client: net.Socket, broker: net.Socket, brokerPort: number): void {
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
        const isProduce = request.readInt16BE(LENGTH_BYTES) === PRODUCE
        if (isProduce && this.#heldPort === brokerPort) return
        if (isProduce) produces.add(request.readInt32BE(LENGTH_BYTES + 4))
        broker.write(request)
      }),
    )
    broker.on(
      'data',
      framed((answer) => {
        const isProduce = produces.delete(answer.readInt32BE(LENGTH_BYTES))
        if (isProduce && this.#left > 0) {
          this.#left--
          this.stolen++
          part()
          return
        }
        if (isProduce && this.#falsified !== undefined) {
          answer.writeInt16BE(this.#falsified.errorCode, errorCodeAt(answer))
          this.#falsified = undefined
        }
        if (!client.destroyed) client.write(answer)
      }),
    )
  }
}

/** Length and correlation id; one topic: its name; one partition: its number, and then its error. */
function errorCodeAt(answer: Buffer): number {
  const nameAt = LENGTH_BYTES + 4 + 4
  return nameAt + 2 + answer.readInt16BE(nameAt) + 4 + 4
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
