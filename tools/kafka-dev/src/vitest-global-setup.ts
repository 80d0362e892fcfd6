/** vitest's `globalSetup`: opens the test run that worker processes inherit, and removes its brokers at the end. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { kafkaIsCached, kafkaUnavailable, resolveKafka } from './jars.js'
import { closeRun, openRun } from './test-run.js'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = await openRun()
  if (project.vitest.projects.some(({ config }) => usesKafka(config.root))) await fetchOrSay()
  return () => closeRun(run)
}

/** Suites decide whether to skip before they could wait for a download: so the one download comes before them. */
async function fetchOrSay(): Promise<void> {
  if (kafkaIsCached() || kafkaUnavailable() !== undefined) return
  try {
    await resolveKafka()
  } catch (error) {
    process.env['KAFKA_DEV_UNAVAILABLE'] = error instanceof Error ? error.message : String(error)
  }
}

function usesKafka(root: string): boolean {
  return readFileSync(join(root, 'package.json'), 'utf8').includes('"@plateau/kafka-dev"')
}
