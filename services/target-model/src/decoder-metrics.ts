import type { CausalLmDecoder, RunReport } from '@plateau/inference'
import type { TargetMetrics } from './metrics.js'

/** Counts a run of the engine. */
export function recordRun(metrics: TargetMetrics, { sequences, tokens, waiting, engineUs, hostUs }: RunReport): void {
  metrics.runSequences.record({}, sequences)
  metrics.runTokens.add({}, tokens)
  metrics.runSeconds.add({ part: 'engine' }, engineUs / 1e6)
  metrics.runSeconds.add({ part: 'host' }, hostUs / 1e6)
  metrics.stepsWaiting.set({}, waiting)
}

/** Shows the decoder's memory, asked for at every scrape. */
export function observeDecoder(metrics: TargetMetrics, decoder: CausalLmDecoder): void {
  metrics.cacheBytes.observe(() => {
    const { usedBytes, reservedBytes, budgetBytes, prefixBytes } = decoder.memory
    return [
      [{ state: 'used' }, usedBytes],
      [{ state: 'reserved' }, reservedBytes],
      [{ state: 'budget' }, budgetBytes],
      [{ state: 'prefixes' }, prefixBytes],
    ]
  })
  metrics.reusedTokens.observe(() => [[{}, decoder.reusedTokens]])
}
