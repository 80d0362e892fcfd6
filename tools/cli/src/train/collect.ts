import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { EventLog } from '@plateau/event-log'
import type { ModelDescription } from '@plateau/model-files'
import { UsageError } from '../usage-error.js'
import { collectAnswers } from './collect-answers.js'
import { collectExport } from './collect-export.js'
import { collectTopic } from './collect-topic.js'
import { readExportedResponses } from './exported-responses.js'
import type { Progress } from './progress.js'
import { isPromptFile, readPromptFiles } from './prompt-file.js'
import type { WindowStore } from './window-store.js'

/** Where windows come from. */
export type Source =
  | { readonly kind: 'topic'; readonly url: string | undefined }
  | { readonly kind: 'export'; readonly path: string }
  | { readonly kind: 'prompts'; readonly path: string }

export interface CollectOptions {
  readonly model: string
  readonly description: ModelDescription
  readonly work: string
  readonly positions: number
  readonly domain: string | undefined
  readonly temperatures: readonly number[]
  readonly answerTokens: number
  readonly sequences: number
  readonly threads: number | undefined
  readonly seed: number
  readonly now: () => number
  readonly signal: AbortSignal
  openLog(url: string | undefined): Promise<EventLog>
}

/** What `--data` names: "topic" or an event log's URL, Parquet files, or prompts. Throws UsageError for anything else. */
export async function sourceOf(data: string): Promise<Source> {
  if (data === 'topic') return { kind: 'topic', url: undefined }
  if (/^(embedded|kafka):/.test(data)) return { kind: 'topic', url: data }
  const found = await stat(data).catch(() => undefined)
  if (found === undefined) throw new UsageError(`--data ${data}: there is no such file, folder or event log`)
  if (data.endsWith('.parquet')) return { kind: 'export', path: data }
  if (!found.isDirectory()) {
    if (isPromptFile(data)) return { kind: 'prompts', path: data }
    throw new UsageError(`--data ${data} is neither .parquet nor prompts in .json, .jsonl or .txt`)
  }
  const isExport = await stat(join(data, '_manifest.json')).catch(() => undefined)
  return { kind: isExport === undefined ? 'prompts' : 'export', path: data }
}

/** Fills the store up to the wanted number of positions, if the source has so many. */
export async function collect(source: Source, store: WindowStore, options: CollectOptions, progress: Progress) {
  const { positions, domain, signal } = options
  const stage = {
    ...options,
    directory: options.work,
    say: (line: string) => progress.say(line),
    progress: (done: number) => progress.at('windows', Math.min(done, positions), positions),
  }
  switch (source.kind) {
    case 'topic': {
      const { fingerprint } = options.description
      const log = await options.openLog(source.url)
      let foreign: number
      try {
        foreign = await collectTopic(log, store, { ...stage, fingerprint })
      } finally {
        // The context's own log is closed with the command.
        if (source.url !== undefined) await log.close()
      }
      if (foreign > 0) progress.say(`${foreign} records of other targets, or unreadable, were left out`)
      return
    }
    case 'export': {
      const responses = await readExportedResponses(source.path, options.description.fingerprint)
      const chosen = responses.filter((response) => domain === undefined || response.domain === domain)
      return collectExport(chosen, store, stage)
    }
    case 'prompts': {
      const prompts = (await readPromptFiles(source.path)).map((prompt) => ({
        ...prompt,
        domain: domain ?? prompt.domain,
      }))
      if (!signal.aborted) await collectAnswers(prompts, store, stage)
      return
    }
  }
}
