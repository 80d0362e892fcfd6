/** Takes the sample records of the topic pages from a system that ran: every record is held against the promises. */
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { Rollout, ScoredWindow } from '@plateau/contracts'
import { products, type Product } from './products.js'
import type { Sample } from './sample.js'

interface Found {
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly value: Uint8Array
}

/** A sample of every public topic that has records, from the embedded log in `directory` (a demo's --dir has it in event-log/). */
export async function captureSamples(directory: string): Promise<Map<string, Sample>> {
  const log = openEmbeddedEventLog(directory)
  try {
    const samples = new Map<string, Sample>()
    for (const product of products) {
      const records: Found[] = []
      const reader = log.reader({ topic: product.topic.name, from: 'earliest' })
      void reader.caughtUp.then(() => reader.close())
      for await (const batch of reader) {
        for (const { key, headers, value } of batch.records) if (value) records.push({ key, headers, value })
      }
      for (const { key, value } of records) refuseBroken(product, key, value)
      // Traffic that stays what it was leaves no word of drift: the sample of before stays.
      const found = pick(product, records)
      if (found === undefined) {
        console.log(`${product.slug}: no record, its sample is not replaced`)
        continue
      }
      const { key, headers, value } = found
      samples.set(product.slug, {
        topic: product.topic.name,
        key,
        headers,
        value: Buffer.from(value).toString('base64'),
      })
      console.log(`${product.slug}: ${records.length} records, ${product.rules.length} rules hold for each`)
    }
    return samples
  } finally {
    await log.close()
  }
}

function refuseBroken(product: Product, key: string, value: Uint8Array): void {
  const broken = product.rules.filter((rule) => !rule.holds(key, value)).map((rule) => rule.name)
  if (broken.length > 0) throw new Error(`${product.topic.name}: a record of ${key} breaks ${broken.join(', ')}`)
}

/** The newest record, of roll-outs with evidence; of scored windows the shortest one that a draft took part in, as pages should stay readable. */
function pick(product: Product, records: readonly Found[]): Found | undefined {
  if (product.slug === 'scored-tokens') {
    const windows = records.map((record) => ({ record, window: ScoredWindow.decode(record.value) }))
    const speculated = windows.filter(({ window }) => window.draftOverlap.length > 0 && window.tokenIds.length >= 8)
    const shortest = speculated.toSorted((a, b) => a.window.tokenIds.length - b.window.tokenIds.length)[0]
    if (shortest) return shortest.record
  }
  if (product.slug === 'rollouts') {
    const explained = records.findLast(({ value }) => Rollout.decode(value).evidence !== undefined)
    if (explained) return explained
  }
  return records.at(-1)
}
