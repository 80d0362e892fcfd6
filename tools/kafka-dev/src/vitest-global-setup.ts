/** vitest's `globalSetup`: opens the test run that worker processes inherit, and removes its brokers at the end. */
import { closeRun, openRun } from './test-run.js'

export default async function setup(): Promise<() => Promise<void>> {
  const run = await openRun()
  return () => closeRun(run)
}
