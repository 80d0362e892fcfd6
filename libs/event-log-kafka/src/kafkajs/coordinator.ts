import { closedError } from '../kafka-errors.js'
import type { KafkaCluster } from './kafka-cluster.js'
import type { NodeConnection } from './node-connection.js'
import { isCoordinatorTrouble } from './protocol-errors.js'
import type { Node, Requests } from './requests.js'

/**
 * The node that looks after a group, or a transactional id, at present, over two connections: what it may sit on (joining
 * waits for the other members) must not hold up heartbeats and commits. After trouble it is looked up again.
 */
export class Coordinator {
  readonly #id: string
  readonly #kind: 'group' | 'transaction'
  readonly #cluster: KafkaCluster
  #node: Promise<Node> | undefined
  #prompt: NodeConnection | undefined
  #parked: NodeConnection | undefined
  #isClosed = false

  constructor(id: string, kind: 'group' | 'transaction', cluster: KafkaCluster) {
    this.#id = id
    this.#kind = kind
    this.#cluster = cluster
  }

  /** Something it answers at once. */
  send<N extends keyof Requests>(name: N, args: Requests[N]['args']): Promise<Requests[N]['answer']> {
    return this.#attempt(async (node) => {
      this.#prompt ??= this.#cluster.open(node)
      return this.#prompt.send(name, args)
    })
  }

  /** Something it may keep for up to `timeoutMs`. */
  park<N extends keyof Requests>(
    name: N,
    args: Requests[N]['args'],
    timeoutMs: number,
  ): Promise<Requests[N]['answer']> {
    return this.#attempt(async (node) => {
      this.#parked ??= this.#cluster.open(node)
      return this.#parked.send(name, args, { timeoutMs })
    })
  }

  dropParked(): void {
    this.#cluster.release(this.#parked)
    this.#parked = undefined
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

  /** Only if nobody has looked it up since. What waits behind the trouble shares it, and so is tried again, too. */
  #forget(lookup: Promise<Node> | undefined, trouble?: unknown): void {
    if (this.#node !== lookup) return
    const reason = trouble instanceof Error ? trouble : undefined
    this.#node = undefined
    for (const connection of [this.#parked, this.#prompt]) this.#cluster.release(connection, reason)
    this.#parked = undefined
    this.#prompt = undefined
  }
}
