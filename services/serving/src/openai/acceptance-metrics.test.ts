import { expect, it } from 'vitest'
import { acceptanceMetrics } from './acceptance-metrics.js'

const steps = (accepted: number[], proposed = 3) => accepted.map((count) => ({ proposed, accepted: count }))
const repeat = (times: number, value: number) => Array.from({ length: times }, () => value)

it('the example of the document that defines them', () => {
  const accepted = [...repeat(39, 0), 1, ...repeat(3, 3)]
  expect(acceptanceMetrics(steps(accepted), { maxProposal: 3, detailed: false })).toEqual({
    mean_acceptance_length: 1.2325581395348837,
    draft_acceptance_rate: 0.07751937984496124,
    acceptance_histogram: [39, 1, 0, 3],
    acceptance_histogram_by_draft_length: { '3': [39, 1, 0, 3] },
    num_spec_steps: 43,
    num_accepted_draft_tokens: 10,
    num_draft_tokens: 129,
    num_spec_tokens: 3,
  })
})

it('proposals of several lengths, step by step where asked', () => {
  const mixed = [...steps([1, 0], 1), ...steps([2, 4], 4)]
  const metrics = acceptanceMetrics(mixed, { maxProposal: 5, detailed: true })
  expect(metrics.acceptance_histogram).toEqual([1, 1, 1, 0, 1, 0])
  expect(metrics.acceptance_histogram_by_draft_length).toEqual({ '1': [1, 1], '4': [0, 0, 1, 0, 1] })
  expect(metrics.per_step_accepted).toEqual([1, 0, 2, 4])
  expect(metrics.per_step_drafted).toEqual([1, 1, 4, 4])
})

it('nothing proposed is a histogram of zeros', () => {
  expect(acceptanceMetrics([], { maxProposal: 2, detailed: false })).toMatchObject({
    mean_acceptance_length: 1,
    draft_acceptance_rate: 0,
    acceptance_histogram: [0, 0, 0],
    acceptance_histogram_by_draft_length: {},
    num_spec_steps: 0,
  })
})
