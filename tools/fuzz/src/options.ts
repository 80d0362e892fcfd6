import { parseArgs } from 'node:util'

export interface Options {
  /** Empty: all. */
  readonly targets: readonly string[]
  /** Undefined: the short run. */
  readonly minutes: number | undefined
  readonly seed: number
  readonly failuresDirectory: string
  readonly replay: string | undefined
  readonly list: boolean
}

export const helpText = `npm run fuzz -- [options]

Makes inputs for every door that input from outside comes through and checks that only documented refusals come out: no
crash, no accidental error, no hang, no memory out of proportion. Without --minutes: the short run that CI makes.

  --target NAME    only this one; may be repeated
  --minutes N      for all chosen targets together
  --seed N         (default 1) the same seed makes the same inputs
  --failures DIR   where inputs that did damage are kept (default fuzz-failures)
  --replay FILE    run one kept input again; its target is the first part of its name, or --target
  --list           the targets
  --help           this text

Exit status: 0 when nothing was found; 1 when something was; 2 for wrong arguments. The last line of standard output is JSON.
`

/** Undefined when help was asked for. Throws TypeError with one clear sentence for wrong arguments. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string', multiple: true, default: [] },
      minutes: { type: 'string' },
      seed: { type: 'string', default: '1' },
      failures: { type: 'string', default: 'fuzz-failures' },
      replay: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  if (minutes !== undefined && !(minutes > 0 && minutes <= 10_080))
    throw new TypeError(`--minutes must be a number above 0, a week at most, not "${values.minutes}"`)
  const seed = Number(values.seed)
  if (values.seed.trim() === '' || !Number.isInteger(seed) || seed < 0 || seed >= 2 ** 31)
    throw new TypeError(`--seed must be a whole number from 0 to ${2 ** 31 - 1}, not "${values.seed}"`)
  const { target: targets, failures: failuresDirectory, replay, list } = values
  return { targets, minutes, seed, failuresDirectory, replay, list }
}
