import { parseArgs } from 'node:util'

export interface DemoOptions {
  readonly quick: boolean
  readonly keep: boolean
  /** Where the JSON report goes, if anywhere. */
  readonly jsonFile: string | undefined
  /** Where the plot and the services' files go. */
  readonly directory: string | undefined
  readonly plotFile: string
  readonly clients: number
  /** demo-target, a name that the model hub knows, or a path. */
  readonly target: string
  readonly plain: boolean
  /** Services talk by mutual TLS. */
  readonly mtls: boolean
  /** On Apache Kafka instead of the embedded log: on a broker of the demo's own, or on the servers given. */
  readonly kafka: 'own broker' | readonly string[] | undefined
}

export const helpText = `npm run demo -- [options]

Starts target-model, flatness-scorer, trainer, serving and the console as processes on one machine, sends them real
prompts and shows a draft model getting better while it serves: first on one domain, then, after a shift, on another.

  --kafka         on Apache Kafka: starts a broker of its own (Java 17; Maven fetches it once)
  --kafka HOST:PORT[,HOST:PORT]
                  on your Kafka (PLATEAU_KAFKA_* settings apply), under a lineage of its own. Topics that are
                  missing are created; records of earlier runs stay, and take part in training
  --mtls          services talk by mutual TLS, with certificates of an authority of the demo's own
  --quick         under 90 seconds instead of under 5 minutes
  --keep          leave everything running at the end, and print the URLs (Ctrl-C ends it)
  --json FILE     write the report as JSON
  --plot FILE     where the plot goes (default plateau-demo.svg)
  --dir DIR       keep the event log, checkpoints and service logs here (default: a temporary folder, removed at the end)
  --target NAME|PATH
                  the target: demo-target (default, the repository's own), smollm2 (a real one; fetched when it is
                  missing), or the path of a Hugging Face directory or GGUF file. A real target answers chat, then
                  in Spanish, from the draft in models/ that was trained for it (on chat and code)
  --clients N     concurrent clients (default 4)
  --plain         plain lines even on a terminal
  --help          this text

Exit status: 0 when every check passed; 1 when a request failed, an answer was changed by speculation, too few drafts were
swapped in, or acceptance did not improve in a phase; 2 for wrong arguments.
`

/** Undefined when help was asked for. Throws TypeError with one clear sentence for wrong arguments. */
export function parseOptions(args: readonly string[]): DemoOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      kafka: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      mtls: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      json: { type: 'string' },
      plot: { type: 'string', default: 'plateau-demo.svg' },
      dir: { type: 'string' },
      target: { type: 'string', default: 'demo-target' },
      clients: { type: 'string', default: '4' },
      plain: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const clients = Number(values.clients)
  if (!Number.isInteger(clients) || clients < 1 || clients > 64) {
    throw new TypeError(`--clients must be a whole number from 1 to 64, not "${values.clients}"`)
  }
  const [servers, ...surplus] = positionals
  if (surplus.length > 0 || (servers !== undefined && !values.kafka)) {
    throw new TypeError(`"${surplus[0] ?? servers}" is not an option of the demo`)
  }
  const bootstrapServers = servers?.split(',')
  const misfit = bootstrapServers?.find((server) => !/^[^\s:]+:\d{1,5}$/.test(server))
  if (misfit !== undefined) throw new TypeError(`--kafka takes HOST:PORT, not "${misfit}"`)
  return {
    quick: values.quick,
    mtls: values.mtls,
    kafka: values.kafka ? (bootstrapServers ?? 'own broker') : undefined,
    keep: values.keep,
    jsonFile: values.json,
    directory: values.dir,
    plotFile: values.plot,
    clients,
    target: values.target,
    plain: values.plain,
  }
}
