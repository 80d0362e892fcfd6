import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'

const PRODUCE = 0
/** What a broker answers when it cannot write to its disk. */
const KAFKA_STORAGE_ERROR = 56

/**
 * A TCP proxy before one Kafka broker that understands just enough of the protocol to answer Produce requests itself, as
 * a broker with a full disk does: KAFKA_STORAGE_ERROR for every partition, and nothing written. All else passes.
 */
export class ProduceProxy {
  /** While true, every Produce is answered with the error. */
  diskFull = false
  refused = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #brokerPort = 0

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (client) => this.#relay(client))
  }

  static listen(): Promise<ProduceProxy> {
    const server = createServer()
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => resolve(new ProduceProxy(server)))
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  forwardTo(port: number): void {
    this.#brokerPort = port
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #relay(client: Socket): void {
    const broker = connect(this.#brokerPort, '127.0.0.1')
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        broker.destroy()
      })
    }
    broker.pipe(client)
    let pending = Buffer.alloc(0)
    client.on('data', (data) => {
      pending = Buffer.concat([pending, data])
      while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
        const end = 4 + pending.readInt32BE(0)
        const request = pending.subarray(0, end)
        pending = pending.subarray(end)
        if (this.diskFull && request.readInt16BE(4) === PRODUCE) {
          this.refused++
          client.write(storageError(request))
        } else {
          broker.write(request)
        }
      }
    })
  }
}

/** The answer to a Produce request (versions 3 to 7, which kafkajs speaks) that refuses every partition. */
function storageError(request: Buffer): Buffer {
  const version = request.readInt16BE(6)
  if (version < 3 || version > 7) throw new RangeError(`Produce version ${version} is not one this proxy answers`)
  const reader = new FieldReader(request, 12)
  reader.string() // client id
  reader.string() // transactional id
  reader.skip(2 + 4) // acks, timeout
  const answer: Buffer[] = [request.subarray(8, 12), int32(reader.int32())]
  for (let topics = answer[1]!.readInt32BE(0); topics > 0; topics--) {
    answer.push(reader.string())
    const partitions = reader.int32()
    answer.push(int32(partitions))
    for (let i = 0; i < partitions; i++) {
      const index = reader.int32()
      reader.skip(reader.int32())
      // index, error, base offset, log append time, and from version 5 the log's start offset
      answer.push(int32(index), int16(KAFKA_STORAGE_ERROR), Buffer.alloc(version >= 5 ? 24 : 16, 0xff))
    }
  }
  answer.push(int32(0)) // throttle time
  const body = Buffer.concat(answer)
  return Buffer.concat([int32(body.length), body])
}

class FieldReader {
  constructor(
    private readonly bytes: Buffer,
    private at: number,
  ) {}

  int32(): number {
    this.at += 4
    return this.bytes.readInt32BE(this.at - 4)
  }

  skip(bytes: number): void {
    this.at += bytes
  }

  /** A string with its length in front, as it stands. */
  string(): Buffer {
    const start = this.at
    const length = this.bytes.readInt16BE(this.at)
    this.at += 2 + Math.max(0, length)
    return this.bytes.subarray(start, this.at)
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
