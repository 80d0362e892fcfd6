import { writeFile } from 'node:fs/promises'
import { PlateauError } from '@plateau/contracts'
import { readUpToNow, type EventLog } from '@plateau/event-log'
import { command, type Context } from '../command.js'
import { readDeadLetter, type DeadLetter } from '../dead-letters/dead-letter.js'
import { chooseDeadLetterTopics, heldRanges, type DeadLetterTopic } from '../dead-letters/dead-letter-topics.js'
import { decodeAsFar } from '../dead-letters/decode-as-far.js'
import { messageOutline } from '../dead-letters/message-outline.js'
import { defaulted, flag, text, value, wholeNumber } from '../option.js'
import { place, type Place } from '../place.js'
import { duration } from '../table.js'
import { UsageError } from '../usage-error.js'

/** Enough to recognise a format by, before anything that a user wrote. */
const HEX_HEAD_BYTES = 32

interface Found {
  readonly topic: DeadLetterTopic
  readonly letter: DeadLetter
}

export const dlqShow = command({
  name: 'dlq show',
  summary: 'single dead letters: where from, why, headers, and the message as far as it decodes',
  details: [
    'The newest ones, newest first, or the one at --offset. Arrays and bytes are told by their length',
    'only, and token ids are hidden: these are what users wrote and read. --payload shows them.',
  ].join('\n'),
  options: {
    topic: value('T', 'only those of this topic (or this dead letter topic)', text),
    group: value('G', 'only those of this consumer group', text),
    limit: defaulted('N', 'how many', wholeNumber(1), '10'),
    offset: value('P:O', 'the one at this partition and offset of the dead letter topic', place),
    raw: value('FILE', "write the one letter's value to FILE as it is; needs --offset", text),
    payload: flag('show token ids, features and other arrays in full'),
  },
  run: async (context, options) => {
    const chosen = chooseDeadLetterTopics(options.topic, options.group)
    const { offset: at, raw } = options
    if (raw !== undefined && at === undefined) throw new UsageError('--raw needs --offset P:O: one letter, one file')
    if (at !== undefined && chosen.length > 1) throw new UsageError('--offset needs --topic (and --group)')
    const log = await context.openLog()
    const found =
      at === undefined ? await newest(log, chosen, options.limit, context) : await one(log, chosen[0]!, at, context)
    if (raw !== undefined) {
      await writeFile(raw, found[0]!.letter.record.value ?? new Uint8Array())
      context.say(`wrote ${found[0]!.letter.record.value?.length ?? 0} bytes to ${raw}`)
    }
    const shown = found.map((each) => describe(each, options.payload))
    context.report({
      json: shown,
      text: shown.length === 0 ? 'no dead letters\n' : shown.map((each) => asText(each, context.now())).join('\n'),
    })
    return 0
  },
})

async function newest(
  log: EventLog,
  topics: readonly DeadLetterTopic[],
  limit: number,
  { signal }: Context,
): Promise<Found[]> {
  let found: Found[] = []
  for (const topic of topics) {
    if ((await heldRanges(log, topic)) === undefined) continue
    for await (const { records } of readUpToNow(log.reader({ topic: topic.name, from: 'earliest' }), signal)) {
      found.push(...records.map((record) => ({ topic, letter: readDeadLetter(record) })))
      found = found.toSorted((a, b) => b.letter.failedAtMs - a.letter.failedAtMs).slice(0, limit)
    }
  }
  return found
}

async function one(log: EventLog, topic: DeadLetterTopic, at: Place, { signal }: Context): Promise<Found[]> {
  const ranges = (await heldRanges(log, topic)) ?? []
  const from = ranges.map(({ partition, next }) => ({
    partition,
    offset: partition === at.partition ? at.offset : next,
  }))
  for await (const { records } of readUpToNow(log.reader({ topic: topic.name, from }), signal)) {
    const record = records.find(({ partition, offset }) => partition === at.partition && offset === at.offset)
    if (record !== undefined) return [{ topic, letter: readDeadLetter(record) }]
    break
  }
  throw new PlateauError('NO_SUCH_RECORD', `${topic.name} holds no record at ${at.partition}:${at.offset}`)
}

function describe({ topic, letter }: Found, withPayload: boolean) {
  const { record, origin } = letter
  return {
    topic: topic.name,
    partition: record.partition,
    offset: record.offset,
    errorClass: letter.errorClass,
    errorMessage: letter.errorMessage,
    attempts: letter.attempts,
    failedAtMs: letter.failedAtMs,
    group: letter.group ?? topic.group,
    origin,
    key: record.key,
    headers: letter.ownHeaders,
    value: describeValue(topic, record.value, withPayload),
  }
}

function describeValue({ source }: DeadLetterTopic, value: Uint8Array | null, withPayload: boolean) {
  if (value === null) return { bytes: 0, messageType: source.messageType, isTombstone: true }
  const { message, stopped } = decodeAsFar(source.codec, value)
  return {
    bytes: value.length,
    messageType: source.messageType,
    ...(stopped === undefined ? {} : { stoppedAtByte: stopped.atByte, why: stopped.why }),
    ...(message === undefined ? { head: hexHead(value) } : { message: messageOutline(message, withPayload) }),
  }
}

function hexHead(value: Uint8Array): string {
  return Buffer.from(value.subarray(0, HEX_HEAD_BYTES)).toString('hex')
}

function asText(shown: ReturnType<typeof describe>, nowMs: number): string {
  const { origin, value } = shown
  const sent = origin.timestampMs === undefined ? '' : `, written ${new Date(origin.timestampMs).toISOString()}`
  const lines = [
    `${shown.topic} ${shown.partition}:${shown.offset}`,
    `  ${shown.errorClass}: ${shown.errorMessage ?? 'no message'}`,
    `  failed   ${duration(nowMs - shown.failedAtMs)} ago in ${shown.group}, attempt ${shown.attempts}`,
    `  from     ${origin.topic ?? 'unknown'} ${origin.partition ?? '?'}:${origin.offset ?? '?'}${sent}`,
    `  key      ${shown.key}`,
    ...Object.entries(shown.headers).map(([name, header]) => `  header   ${name}: ${header}`),
    `  value    ${valueText(value)}`,
  ]
  if ('head' in value) lines.push(`    starts with ${value.head}`)
  if ('message' in value) lines.push(...paths(value.message).map((line) => `    ${line}`))
  return `${lines.join('\n')}\n`
}

function valueText(value: ReturnType<typeof describeValue>): string {
  if ('isTombstone' in value) return 'none (it removes its key)'
  const whole = `${value.bytes} bytes of ${value.messageType}`
  return value.why === undefined ? whole : `${whole}, readable up to byte ${value.stoppedAtByte}: ${value.why}`
}

/** One line for each leaf: "provenance.schemaVersion: 1". */
function paths(message: unknown, prefix = ''): string[] {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    return [`${prefix}: ${typeof message === 'string' ? message : JSON.stringify(message)}`]
  }
  return Object.entries(message).flatMap(([key, entry]) => paths(entry, prefix === '' ? key : `${prefix}.${key}`))
}
