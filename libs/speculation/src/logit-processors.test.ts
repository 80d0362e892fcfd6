import { describe, expect, it } from 'vitest'
import { logitProcessors, type LogitProcessing } from './logit-processors.js'
import { transformLogits } from './sampling.js'

const none: LogitProcessing = { presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 0, logitBias: {} }
const processors = (change: Partial<LogitProcessing>, prompt: readonly number[] = []) =>
  logitProcessors({ ...none, ...change }, prompt)!

const inOrder = (ids: readonly number[]): number[] => ids.toSorted((a, b) => a - b)

describe('logit processors', () => {
  it('are none where nothing changes', () => {
    expect(logitProcessors(none, [1, 2])).toBeUndefined()
    expect(logitProcessors({ ...none, repetitionPenalty: 1, logitBias: { 3: 0 } }, [1, 2])).toBeUndefined()
  })

  it('a presence penalty counts once, a frequency penalty every time, neither for the prompt', () => {
    const presence = processors({ presencePenalty: 0.5 }, [1])
    const frequency = processors({ frequencyPenalty: 0.5 }, [1])
    for (const each of [presence, frequency]) each.record([2, 3, 2])
    expect([1, 2, 3, 4].map((id) => presence.adjust(id, 1, []))).toEqual([1, 0.5, 0.5, 1])
    expect([1, 2, 3, 4].map((id) => frequency.adjust(id, 1, []))).toEqual([1, 0, 0.5, 1])
  })

  it('a repetition penalty divides positive and multiplies other logits, of prompt and response, once', () => {
    const repetition = processors({ repetitionPenalty: 2 }, [1, 1])
    repetition.record([2, 2])
    expect([1, 2, 3].map((id) => repetition.adjust(id, 3, []))).toEqual([1.5, 1.5, 3])
    expect([1, 2, 3].map((id) => repetition.adjust(id, -3, []))).toEqual([-6, -6, -3])
    expect(repetition.adjust(1, 0, [])).toBe(0)
  })

  it('come in order: bias, repetition, frequency, presence', () => {
    const all = processors({ presencePenalty: 1, frequencyPenalty: 0.25, repetitionPenalty: 2, logitBias: { 7: 5 } })
    all.record([7, 7])
    // (-1 + 5) / 2 - 2 * .25 - 1; with the bias last it would be -2 - .5 - 1 + 5.
    expect(all.adjust(7, -1, [])).toBe(0.5)
  })

  it('count proposed tokens before a position as if they had been emitted', () => {
    const ahead = processors({ presencePenalty: 0.5, frequencyPenalty: 0.25, repetitionPenalty: 2 }, [9])
    const recorded = processors({ presencePenalty: 0.5, frequencyPenalty: 0.25, repetitionPenalty: 2 }, [9])
    for (const each of [ahead, recorded]) each.record([4])
    recorded.record([4, 5, 5])
    for (const id of [4, 5, 6, 9]) expect(ahead.adjust(id, 3, [4, 5, 5])).toBe(recorded.adjust(id, 3, []))
  })

  it('name every token whose logit changes, once', () => {
    const all = processors({ frequencyPenalty: 1, repetitionPenalty: 1.5, logitBias: { 3: -1 } }, [1, 2, 1])
    all.record([2, 5])
    expect(inOrder(all.affected([]))).toEqual([1, 2, 3, 5])
    expect(inOrder(all.affected([5, 6, 6]))).toEqual([1, 2, 3, 5, 6])
    // Where only biases are set, what is emitted changes nothing.
    const bias = processors({ logitBias: { 3: -1 } }, [1])
    bias.record([2])
    expect(bias.affected([4])).toEqual([3])
    // The prompt matters to repetition alone.
    expect(processors({ presencePenalty: 1 }, [1]).affected([])).toEqual([])
  })

  it('count with numbers of single precision, whoever counts', () => {
    expect(processors({ logitBias: { 1: 0.1 } }).adjust(1, 0, [])).toBe(Math.fround(0.1))
  })

  it('come before temperature and truncation', () => {
    const sampling = { temperature: 0.5, topK: 2, topP: 1, processors: processors({ logitBias: { 0: -5, 2: 1 } }) }
    const logits = [4, 2, 1, 0]
    const expected = transformLogits([-1, 2, 2, 0], { temperature: 0.5, topK: 2, topP: 1 })
    expect(transformLogits(logits, sampling)).toEqual(expected)
    expect(logits).toEqual([4, 2, 1, 0])
    // At temperature 0 the best adjusted logit, the lowest id in a tie.
    expect(transformLogits(logits, { ...sampling, temperature: 0 }).indexOf(1)).toBe(1)
  })
})
