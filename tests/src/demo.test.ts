import { failures, runDemo } from '@plateau/demo'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoModel } from './models.js'

describe('the demo, quick', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'plateau-demo-test-'))
  const jsonFile = join(scratch, 'report.json')
  const plotFile = join(scratch, 'plot.svg')
  let report: Awaited<ReturnType<typeof runDemo>>

  beforeAll(async () => {
    const directory = join(scratch, 'run')
    report = await runDemo(
      {
        quick: true,
        mtls: false,
        keep: false,
        jsonFile,
        plotFile,
        directory,
        clients: 4,
        target: demoModel,
        plain: true,
        kafka: undefined,
      },
      process.stdout,
    )
  }, 180_000)

  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  test('succeeds by its own standard', () => {
    expect(failures(report)).toEqual([])
  })

  test('no request failed, no answer was changed, at least three drafts were swapped in', () => {
    expect(report.failedRequests).toBe(0)
    expect(report.losslessChecked).toBeGreaterThan(0)
    expect(report.losslessMismatches).toBe(0)
    expect(report.swaps).toBeGreaterThanOrEqual(3)
  })

  test('the untrained draft becomes useful, and the shifted one beats its frozen copy', () => {
    const [base, shift] = report.phases
    expect(base!.alphaStart).toBeLessThan(0.1)
    expect(base!.alphaEnd).toBeGreaterThan(0.2)
    expect(shift!.alphaEnd).toBeGreaterThan(shift!.frozenAlphaEnd)
  })

  test('every captured window is accounted for', () => {
    const { captured, scored, evaluation, trained } = report.windows
    expect(scored).toBe(captured)
    expect(trained + evaluation).toBe(captured)
  })

  test('writes the report and the plot', () => {
    expect(JSON.parse(readFileSync(jsonFile, 'utf8'))).toEqual(JSON.parse(JSON.stringify(report)))
    expect(existsSync(plotFile)).toBe(true)
    expect(readFileSync(plotFile, 'utf8')).toContain('</svg>')
  })
})

describeWithKafka('the demo, quick, on a Kafka broker of its own', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'plateau-demo-kafka-'))
  let report: Awaited<ReturnType<typeof runDemo>>

  beforeAll(async () => {
    const options = {
      quick: true,
      keep: false,
      jsonFile: undefined,
      clients: 4,
      target: demoModel,
      plain: true,
      mtls: true,
    }
    const files = { plotFile: join(scratch, 'plot.svg'), directory: join(scratch, 'run') }
    report = await runDemo({ ...options, ...files, kafka: 'own broker' }, process.stdout)
  }, 240_000)

  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  test('no request failed, no answer was changed, at least three drafts were swapped in', () => {
    expect(report.failedRequests).toBe(0)
    expect(report.losslessChecked).toBeGreaterThan(0)
    expect(report.losslessMismatches).toBe(0)
    expect(report.swaps).toBeGreaterThanOrEqual(3)
  })

  test('the untrained draft becomes useful', () => {
    const [base] = report.phases
    expect(base!.alphaStart).toBeLessThan(0.1)
    expect(base!.alphaEnd).toBeGreaterThan(0.2)
  })

  test('every captured window is accounted for', () => {
    const { captured, scored, evaluation, trained } = report.windows
    expect(scored).toBe(captured)
    expect(trained + evaluation).toBe(captured)
  })
})
