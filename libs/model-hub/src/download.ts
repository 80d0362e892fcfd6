import { messageOf } from '@plateau/contracts'
import { constants, copyFile, open, rm, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface DownloadOptions {
  readonly url: string
  /** A source with another length is refused before its bytes are taken. */
  readonly expectedBytes: number | undefined
  readonly signal: AbortSignal | undefined
  /** How long a server may take to answer, and to send nothing; how often in a row it may bring nothing. */
  readonly patience?: { readonly answerMs: number; readonly silenceMs: number; readonly attempts: number } | undefined
  readonly onBytes: (receivedBytes: number, totalBytes: number | undefined) => void
}

const defaultPatience = { answerMs: 8_000, silenceMs: 30_000, attempts: 3 }

/**
 * Brings `url` to the file `to`, going on after what is there already (HTTP Range). Broken connections are taken up again
 * where they broke. Two processes may do this at once: bytes are written at their own places, so both write the same.
 * `resumed`: some of the file was there before. Throws Error with a sentence for a person, or what aborted the signal.
 */
export async function download(to: string, options: DownloadOptions): Promise<{ readonly resumed: boolean }> {
  if (options.url.startsWith('file:')) {
    await copyFile(fileURLToPath(options.url), to)
    return { resumed: false }
  }
  const { attempts } = options.patience ?? defaultPatience
  const before = await sizeOf(to)
  for (let inVain = 0; ;) {
    const start = await sizeOf(to)
    try {
      await attempt(to, start, options)
      return { resumed: before > 0 }
    } catch (thrown) {
      options.signal?.throwIfAborted()
      if (thrown instanceof Refusal) throw thrown
      if (thrown instanceof LongerThanSource) await rm(to, { force: true })
      inVain = (await sizeOf(to)) > start ? 0 : inVain + 1
      if (inVain >= attempts)
        throw new Error(`${hostOf(options.url)} does not answer (${reasonOf(thrown)})`, { cause: thrown })
      await sleep(250 * 2 ** inVain, undefined, options.signal === undefined ? {} : { signal: options.signal })
    }
  }
}

/** What trying again does not change. */
class Refusal extends Error {}

/** What is there from before cannot be a part of this source. */
class LongerThanSource extends Error {}

async function attempt(to: string, start: number, options: DownloadOptions): Promise<void> {
  const { answerMs, silenceMs } = options.patience ?? defaultPatience
  const impatience = new AbortController()
  let timer = setTimeout(() => impatience.abort(new Error(`nothing for ${answerMs / 1000} s`)), answerMs)
  const alive = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => impatience.abort(new Error(`nothing for ${silenceMs / 1000} s`)), silenceMs)
  }
  try {
    const signals = options.signal === undefined ? [impatience.signal] : [impatience.signal, options.signal]
    const headers = { 'accept-encoding': 'identity', ...(start > 0 && { range: `bytes=${start}-` }) }
    const response = await fetch(options.url, { headers, signal: AbortSignal.any(signals) })
    const { from, total } = placeOf(response, start, options)
    if (from !== undefined) await write(to, response, from, total, alive, options.onBytes)
  } finally {
    clearTimeout(timer)
  }
}

/** Where the answer's bytes belong; `from` undefined: everything is there already. */
function placeOf(
  response: Response,
  start: number,
  { url, expectedBytes }: DownloadOptions,
): { readonly from: number | undefined; readonly total: number | undefined } {
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '')
  const length = Number(response.headers.get('content-length') ?? Number.NaN)
  const isPartial = response.status === 206
  const total = isPartial || response.status === 416 ? Number(range?.[2]) : length
  if (response.status === 416 && total === start) return { from: undefined, total }
  if (response.status === 416) throw new LongerThanSource(`${url} ends before byte ${start}`)
  if (response.status >= 500) throw new Error(`it answers ${response.status}`)
  if (response.status !== 200 && !isPartial) throw new Refusal(`${url} answers ${response.status}`)
  if (isPartial && Number(range?.[1]) !== start) throw new Refusal(`${url} sends another part than it was asked for`)
  if (expectedBytes !== undefined && total !== expectedBytes) {
    throw new Refusal(
      `${url} is a file of ${Number.isNaN(total) ? 'unknown length' : `${total} bytes`}, expected ${expectedBytes}`,
    )
  }
  return { from: isPartial ? start : 0, total: Number.isNaN(total) ? undefined : total }
}

async function write(
  to: string,
  response: Response,
  from: number,
  total: number | undefined,
  alive: () => void,
  onBytes: DownloadOptions['onBytes'],
): Promise<void> {
  // Not emptied first: another process may be writing the same bytes.
  const file = await open(to, constants.O_WRONLY | constants.O_CREAT)
  try {
    let at = from
    onBytes(at, total)
    for await (const chunk of response.body ?? []) {
      alive()
      await file.write(chunk, 0, chunk.length, at)
      at += chunk.length
      onBytes(at, total)
    }
    if (total !== undefined && at !== total) throw new Error(`the connection ended at byte ${at} of ${total}`)
    await file.truncate(at)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

function hostOf(url: string): string {
  return new URL(url).host
}

/** fetch hides why it failed one level down. */
function reasonOf(thrown: unknown): string {
  const { cause } = thrown as { cause?: unknown }
  return messageOf(cause ?? thrown).slice(0, 200)
}
