import type { EventLog } from '@plateau/event-log'

const GROUP = 'plateau-cli.replay.v1'

/**
 * How far a dead letter topic has been replayed, kept in the log as committed offsets: one group for replays of
 * everything and one for each error class that was replayed by itself. A letter has been replayed when it lies before
 * the first, or before that of its class. So any sequence of both sends nothing twice.
 */
export class ReplayMarks {
  readonly #log: EventLog
  readonly #topic: string
  /** Next offset by partition, by group. */
  readonly #known = new Map<string, Promise<Map<number, number>>>()

  constructor(log: EventLog, topic: string) {
    this.#log = log
    this.#topic = topic
  }

  async isReplayed(errorClass: string, partition: number, offset: number): Promise<boolean> {
    return offset < Math.max(await this.next(undefined, partition), await this.next(errorClass, partition))
  }

  /** Before this offset nothing of that class (undefined: nothing at all) is left to replay. 0 at first. */
  async next(errorClass: string | undefined, partition: number): Promise<number> {
    return (await this.#of(groupOf(errorClass))).get(partition) ?? 0
  }

  /** Moves a mark forward; one that is further already stays. */
  async advance(errorClass: string | undefined, partition: number, offset: number): Promise<void> {
    const group = groupOf(errorClass)
    const marks = await this.#of(group)
    if (offset <= (marks.get(partition) ?? 0)) return
    await this.#log.commit(group, this.#topic, [{ partition, offset }])
    marks.set(partition, offset)
  }

  #of(group: string): Promise<Map<number, number>> {
    let marks = this.#known.get(group)
    if (marks === undefined) {
      marks = this.#read(group)
      this.#known.set(group, marks)
    }
    return marks
  }

  async #read(group: string): Promise<Map<number, number>> {
    const committed = await this.#log.committed(group, this.#topic)
    return new Map(committed.filter(({ offset }) => offset >= 0).map(({ partition, offset }) => [partition, offset]))
  }
}

/** Error classes are our codes or JavaScript's names; anything else is made fit for a group's name. */
function groupOf(errorClass: string | undefined): string {
  return errorClass === undefined ? GROUP : `${GROUP}.class.${errorClass.replaceAll(/[^\w.-]/g, '_').slice(0, 100)}`
}
