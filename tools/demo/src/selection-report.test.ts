import { SelectionPolicy } from '@plateau/contracts'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { selectionReport } from './selection-report.js'

const metrics = `# HELP plateau_trainer_policy_gain help
plateau_trainer_policy_gain{stage="closed-form"} 0.004
plateau_trainer_policy_gain{stage="gradients"} -0.001
plateau_trainer_policy_gain_standard_error{stage="closed-form"} 0.002
plateau_trainer_policy_gain_standard_error{stage="gradients"} 0.003
plateau_trainer_rule_turns_total{rule="random"} 7
plateau_trainer_rule_gain{rule="random"} 0.01
plateau_trainer_rule_gain_standard_error{rule="random"} 0.005
`

let server: Server
let url: string
beforeEach(async () => {
  server = createServer((_, response) => response.end(metrics))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => server.close())

it('what is in force is read from the topic, what it gains as the trainer knows it now', async () => {
  const policy = SelectionPolicy.fromPartial({
    strategy: 'least-flat',
    keep: 0.5,
    unit: 'token',
    binWeights: { effectiveTokens: [1.5, 10], weights: [1.5, 1, 0.5] },
  })
  expect(await selectionReport(policy, url)).toEqual({
    rule: 'least-flat(keep=0.5,unit=token)',
    gains: [
      { name: 'closed-form', gain: 0.004, standardError: 0.002 },
      { name: 'gradients', gain: -0.001, standardError: 0.003 },
    ],
    rules: [{ name: 'random', gain: 0.01, standardError: 0.005, turns: 7 }],
    bins: [
      { tokens: '1 to 1.5', weights: [1.5] },
      { tokens: '1.5 to 10', weights: [1] },
      { tokens: '10 or more', weights: [0.5] },
    ],
  })
})

it('weights by how far the draft is off stand side by side; without a policy the scorer decides', async () => {
  const binWeights = { effectiveTokens: [2], draftGap: [0.5], weights: [1, 2, 3, 4, 5, 6] }
  const policy = SelectionPolicy.fromPartial({ strategy: 'none', keep: 1, binWeights })
  expect((await selectionReport(policy, url)).bins).toEqual([
    { tokens: '1 to 2', weights: [1, 2, 3] },
    { tokens: '2 or more', weights: [4, 5, 6] },
  ])
  expect(await selectionReport(undefined, url)).toMatchObject({ rule: "the scorer's own", bins: [] })
})
