import { ConfigError, mergeConfigs } from '@plateau/config'
import { topics } from '@plateau/contracts'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { commonConfig, startService } from '@plateau/service-kit'
import { silentLogger } from '@plateau/telemetry'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { flatnessScorer } from './service.js'
import { recordOf, TestLog, traffic, until, windowOf } from './testing.js'

const schema = mergeConfigs(commonConfig(flatnessScorer.opsPort), flatnessScorer.config)

describe('the configuration', () => {
  it('has a default for everything', () => {
    expect(schema.parse({})).toMatchObject({ strategy: 'none', keep: 0.5, closedFormWeight: 'uniform' })
  })

  it.each([
    [{ PLATEAU_STRATEGY: 'flattest' }, /PLATEAU_STRATEGY/],
    [{ PLATEAU_KEEP: '0' }, /nothing would ever be kept/],
    [{ PLATEAU_KEEP: '1.2' }, /PLATEAU_KEEP/],
    [{ PLATEAU_KEEP_UNIT: 'word' }, /PLATEAU_KEEP_UNIT/],
    [{ PLATEAU_KEEP_BUDGET: 'bytes' }, /PLATEAU_KEEP_BUDGET/],
    [{ PLATEAU_STRATIFY: 'yes' }, /PLATEAU_STRATIFY/],
    [{ PLATEAU_KEEP_SAMPLING: 'best' }, /PLATEAU_KEEP_SAMPLING/],
    [{ PLATEAU_EVALUATION_SHARE: '0.6', PLATEAU_CONTROL_SHARE: '0.4' }, /leave no sample/],
    [{ PLATEAU_RECENT_WINDOWS: '16', PLATEAU_WARM_UP_WINDOWS: '17' }, /above PLATEAU_RECENT_WINDOWS/],
    [{ PLATEAU_KEEPS: '0.5' }, /did you mean PLATEAU_KEEP/],
  ])('refuses %o', (environment, problem) => {
    expect(() => schema.parse(environment)).toThrow(ConfigError)
    expect(() => schema.parse(environment)).toThrow(problem)
  })
})

describe('the service', () => {
  let test: TestLog
  beforeEach(async () => {
    test = await new TestLog().prepare()
  })
  afterEach(() => test.close())

  it('scores from log to log, shows its metrics, and drains', async () => {
    await test.publish([...traffic(40), { ...windowOf('bad'), vocabSize: 1 }].map(recordOf))
    const config = schema.parse({ PLATEAU_EVENT_LOG: `embedded:${test.directory}`, PLATEAU_OPS_PORT: '0' })
    const eventLog = openEmbeddedEventLog(test.directory)
    const service = await startService(flatnessScorer, config, { logger: silentLogger, eventLog })
    await until(async () => (await test.lag()) === 0)
    const metrics = await (await fetch(new URL('/metrics', service.opsUrl))).text()
    expect(metrics).toMatch(/plateau_scorer_windows_total\{[^}]*decision="keep"/)
    expect(metrics).toMatch(/plateau_scorer_dead_lettered_total\{reason="LENGTH_MISMATCH|TOKEN_OUT_OF_RANGE/)
    const counts = [...metrics.matchAll(/plateau_scorer_window_flatness_count\{[^}]*\} (\d+)/g)]
    expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(40)
    expect((await fetch(new URL('/readyz', service.opsUrl))).status).toBe(200)
    expect(await service.stop()).toBe(0)
    expect(await test.records(topics.trainingWindows.name)).toHaveLength(40)
  })
})
