import { parseArgs } from 'node:util'

export interface SoakOptions {
  readonly minutes: number
  /** Requests a second, from all tenants together. */
  readonly requestsPerSecond: number
  readonly chaos: boolean
  readonly kafka: boolean
  readonly seed: number
  readonly jsonFile: string | undefined
  /** Hugging Face directory of the target. */
  readonly target: string | undefined
  /** The topics that grow are kept for so long, so that a run outlives them. */
  readonly retentionSeconds: number
  /** Kept instead of a temporary folder that is removed at the end. */
  readonly directory: string | undefined
}

export const helpText = `npm run soak -- [options]

Starts the five services as processes, sends requests of several tenants at a steady rate (whole, streamed, cancelled,
wrong) and a sequence-numbered stream of windows, and judges the run by criteria that a table at its end lists.

  --minutes N      how long requests are sent (default 10)
  --rps R          requests a second (default 2)
  --chaos          kill -9, freeze and restart services on a seeded schedule, take the checkpoint store away, fill the disk
  --kafka          on Apache Kafka, a broker of its own (Java 17; Maven fetches Kafka once); with --chaos the broker too
  --seed N         of requests and chaos (default 1)
  --retention N    seconds that the growing topics are kept for (default 180)
  --target DIR     Hugging Face directory of the target (default models/tiny-target: leaves the processors to the services)
  --dir DIR        keep event log, checkpoints and service logs here
  --json FILE      write the report
  --help           this text

Ctrl-C ends the run early; it is still audited and reported. Exit status: 0 when every criterion passed; 1 when one failed
or the system did not start; 2 for wrong arguments. The last line of standard output is JSON.
`

/** Undefined when help was asked for. Throws TypeError with one clear sentence for wrong arguments. */
export function parseOptions(args: readonly string[]): SoakOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '10' },
      rps: { type: 'string', default: '2' },
      chaos: { type: 'boolean', default: false },
      kafka: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      retention: { type: 'string', default: '180' },
      target: { type: 'string' },
      dir: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  return {
    minutes: numberOf('minutes', values.minutes, { from: 0.1, to: 60 * 24 * 7 }),
    requestsPerSecond: numberOf('rps', values.rps, { from: 0.1, to: 1000 }),
    chaos: values.chaos,
    kafka: values.kafka,
    seed: numberOf('seed', values.seed, { from: 0, to: 2 ** 32 - 1, whole: true }),
    jsonFile: values.json,
    target: values.target,
    retentionSeconds: numberOf('retention', values.retention, { from: 30, to: 86_400 }),
    directory: values.dir,
  }
}

function numberOf(
  name: string,
  text: string,
  { from, to, whole = false }: { readonly from: number; readonly to: number; readonly whole?: boolean },
): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value >= from && value <= to && (!whole || Number.isInteger(value))) return value
  throw new TypeError(`--${name} must be a ${whole ? 'whole ' : ''}number from ${from} to ${to}, not "${text}"`)
}
