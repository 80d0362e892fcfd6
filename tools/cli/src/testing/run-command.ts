import { runCli } from '../run-cli.js'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
  /** What --json printed last. */
  readonly json: <T = unknown>() => T
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly now?: () => number
  /** Told of every piece of stdout, for a test that waits for one. */
  readonly onOut?: (text: string) => void
}

/** Runs `plateau ARGS` in this process. */
export async function plateau(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  let out = ''
  let err = ''
  const code = await runCli(args, {
    environment: options.environment ?? {},
    signal: options.signal ?? new AbortController().signal,
    now: options.now ?? Date.now,
    print: (text) => {
      out += text
      options.onOut?.(text)
    },
    printError: (text) => void (err += text),
  })
  return { code, out, err, json: <T>() => JSON.parse(out.trimEnd().split('\n').at(-1)!) as T }
}
