/** A record's place in a topic, written "partition:offset". */
export interface Place {
  readonly partition: number
  readonly offset: number
}

export function place(text: string): Place {
  const match = /^(\d{1,9}):(\d{1,15})$/.exec(text)
  if (match === null) throw new TypeError('PARTITION:OFFSET, for example 0:4711')
  return { partition: Number(match[1]), offset: Number(match[2]) }
}
