import { runFaults, scenarios, type ScenarioResult } from '@plateau/faults'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { beforeAll, describe, expect, test } from 'vitest'

/** The part of `npm run faults` that CI runs; the rest takes many minutes. */
const short = scenarios.filter((scenario) => scenario.short)

describeWithKafka('damage to a running system on Kafka', () => {
  let results: ReadonlyMap<string, ScenarioResult>

  beforeAll(async () => {
    const ran = await runFaults(short, (line) => console.log(line), new AbortController().signal)
    results = new Map(ran.map((result) => [result.name, result]))
  }, 900_000)

  describe.each(short.map(({ name, summary }) => [name, summary] as const))('%s: %s', (name) => {
    test('no acknowledged window is lost or counted twice, and no request fails', () => {
      expect(results.get(name)).toMatchObject({ lost: 0, doubled: 0, failedRequests: 0, problems: [] })
    })

    test('windows and requests were under way', () => {
      const { acknowledged, answeredRequests } = results.get(name)!
      expect(acknowledged).toBeGreaterThan(20)
      expect(answeredRequests).toBeGreaterThan(0)
    })
  })
})
