import { closedError } from '@plateau/event-log/adapter'
import type { KafkaCluster } from './kafka-cluster.js'
import type { NodeConnection } from './node-connection.js'
import { isCoordinatorTrouble } from './protocol-errors.js'
import type { Node, Requests } from './requests.js'

/** A node answers a connection's requests in order, so what must not wait for each other has its own. */
type Line = 'prompt' | 'parked' | 'heartbeat'

/**
 * The node that looks after a group, or a transactional id, at present. What it may sit on must not hold up the rest:
 * joining waits for the other members, a commit for copies of it, and heartbeats for nothing. After trouble it is
 * looked up again.
 */
export class Coordinator {
  readonly #id: string
  readonly #kind: 'group' | 'transaction'
  readonly #cluster: KafkaCluster
  #node: Promise<Node> | undefined
  readonly #lines = new Map<Line, NodeConnection>()
  #isClosed = false

  constructor(id: string, kind: 'group' | 'transaction', cluster: KafkaCluster) {
    this.#id = id
    this.#kind = kind
    this.#cluster = cluster
  }

  /** Something it answers at once. */
  send<N extends keyof Requests>(name: N, args: Requests[N]['args']): Promise<Requests[N]['answer']> {
    const line = name === 'Heartbeat' ? 'heartbeat' : 'prompt'
    return this.#attempt((node) => this.#line(line, node).send(name, args))
  }

  /** Something it may keep for up to `timeoutMs`. */
  park<N extends keyof Requests>(
    name: N,
    args: Requests[N]['args'],
    timeoutMs: number,
  ): Promise<Requests[N]['answer']> {
    return this.#attempt((node) => this.#line('parked', node).send(name, args, { timeoutMs }))
  }

  dropParked(): void {
    this.#cluster.release(this.#lines.get('parked'))
    this.#lines.delete('parked')
  }

  close(): void {
    this.#isClosed = true
    this.#forget(this.#node)
  }

  async #attempt<T>(ask: (node: Node) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw closedError()
    this.#node ??= this.#cluster.coordinator(this.#id, this.#kind)
    const lookup = this.#node
    try {
      return await ask(await lookup)
    } catch (thrown) {
      if (isCoordinatorTrouble(thrown)) this.#forget(lookup, thrown)
      throw thrown
    }
  }

  #line(line: Line, node: Node): NodeConnection {
    // Closed while it was being looked up.
    if (this.#isClosed) throw closedError()
    let connection = this.#lines.get(line)
    if (connection === undefined) {
      connection = this.#cluster.open(node)
      this.#lines.set(line, connection)
    }
    return connection
  }

  /** Only if nobody has looked it up since. What waits behind the trouble shares it, and so is tried again, too. */
  #forget(lookup: Promise<Node> | undefined, trouble?: unknown): void {
    if (this.#node !== lookup) return
    const reason = trouble instanceof Error ? trouble : undefined
    this.#node = undefined
    for (const connection of this.#lines.values()) this.#cluster.release(connection, reason)
    this.#lines.clear()
  }
}
