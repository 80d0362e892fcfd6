import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { topics } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { dataFiles, readExport } from '../testing/read-export.js'
import { plateau } from '../testing/run-command.js'
import { startPlateau } from '../testing/start-plateau.js'
import { temporaryDirectory, temporaryLog } from '../testing/temporary-log.js'
import { until } from '../testing/until.js'
import { scoredRecord, scoredWindow } from '../testing/windows.js'

const KILLS = 5

test(
  'an export that is killed again and again while windows flow writes every window exactly once',
  { timeout: 120_000 },
  async () => {
    const { log, url } = await temporaryLog()
    const directory = temporaryDirectory()
    const args = ['export', 'scored-tokens', '--to', directory, '--event-log', url, '--rows-per-file', '10']
    const producer = log.producer()
    const sent: string[] = []
    let isFlowing = true
    const flowing = (async () => {
      while (isFlowing) {
        const names = Array.from({ length: 20 }, (_, i) => `sample-${sent.length + i}`)
        await producer.send(
          topics.scoredTokens.name,
          names.map((name) => scoredRecord(scoredWindow(name))),
        )
        sent.push(...names)
        await sleep(20)
      }
    })()

    for (let kill = 1; kill <= KILLS; kill++) {
      const before = dataFiles(directory).length
      const process = startPlateau(...args, '--until', 'follow')
      // Later each time, so that it dies in different places: between files, and in the middle of one.
      await until(`it writes (${process.said()})`, () => dataFiles(directory).length > before + kill)
      process.child.kill('SIGKILL')
      expect(await process.ended).toBeNull()
    }
    isFlowing = false
    await flowing

    const last = await plateau(args)
    expect(last).toMatchObject({ code: 0 })
    expect(last.out).not.toContain('redelivered')
    const rows = await readExport(directory)
    expect(rows.map((row) => String(row['sample_id'])).toSorted()).toEqual(sent.toSorted())
    expect(readdirSync(directory).filter((name) => name.startsWith('.writing-'))).toEqual([])
  },
)

test('SIGINT ends a following export cleanly, and the next run goes on', async () => {
  const { log, url } = await temporaryLog()
  const directory = temporaryDirectory()
  await log.producer().send(topics.scoredTokens.name, [scoredRecord(scoredWindow('a'))])
  const process = startPlateau('export', 'scored-tokens', '--to', directory, '--event-log', url, '--until', 'follow')
  await until('it has begun', () => readdirSync(directory).includes('_export.json'))
  process.child.kill('SIGINT')
  expect(await process.ended).toBe(0)
  await plateau(['export', 'scored-tokens', '--to', directory, '--event-log', url])
  expect(await readExport(directory)).toMatchObject([{ sample_id: 'a' }])
})
