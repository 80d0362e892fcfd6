import { runScenario } from './run-scenario.js'
import type { Scenario, ScenarioResult, Topology } from './scenario.js'
import { Stage } from './stage.js'

/** Runs the scenarios, each topology on one running system, and prints a line for each. */
export async function runFaults(
  scenarios: readonly Scenario[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = []
  console.log(row(columns.map(([title]) => title)))
  for (const topology of new Set(scenarios.map((scenario) => scenario.topology))) {
    if (signal.aborted) break
    const mine = scenarios.filter((scenario) => scenario.topology === topology)
    results.push(...(await runOn(topology, mine, say, signal)))
  }
  return results
}

async function runOn(
  topology: Topology,
  scenarios: readonly Scenario[],
  say: (line: string) => void,
  signal: AbortSignal,
) {
  const results: ScenarioResult[] = []
  const stage = await Stage.open(topology, say)
  const interrupted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('interrupted')), { once: true })
  })
  interrupted.catch(() => {})
  try {
    for (const scenario of scenarios) {
      say(`${scenario.name}: ${scenario.summary}`)
      const result = await Promise.race([runScenario(scenario, stage), interrupted])
      results.push(result)
      console.log(row(columns.map(([, cell]) => cell(result))))
      for (const problem of result.problems) console.log(`  ${problem}`)
    }
  } catch (error) {
    // What is left of this system cannot be trusted with another scenario.
    say(`${topology}: ${error instanceof Error ? error.message : String(error)}`)
    for (const name of stage.cluster.processes) say(`--- ${name}\n${stage.cluster.logTail(name, 5)}`)
  } finally {
    await stage.close()
  }
  return results
}

const columns: readonly (readonly [string, (result: ScenarioResult) => string])[] = [
  ['scenario', (r) => r.name],
  ['acked', (r) => String(r.acknowledged)],
  ['lost', (r) => String(r.lost)],
  ['doubled', (r) => String(r.doubled)],
  ['answered', (r) => String(r.answeredRequests)],
  ['failed', (r) => String(r.failedRequests)],
  ['retried', (r) => String(r.retriedRequests)],
  ['stall s', (r) => r.stallSeconds.toFixed(1)],
  ['flows after s', (r) => r.flowingAfterSeconds.toFixed(1)],
  ['redelivered', (r) => String(r.redelivered)],
  ['MiB', (r) => r.residentMiB.toFixed(0)],
]

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(26) : cell.padStart(columns[i]![0].length + 2))).join('')
}
