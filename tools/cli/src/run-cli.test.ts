import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commands } from './commands.js'
import { plateau } from './testing/run-command.js'
import { temporaryDirectory, temporaryLog } from './testing/temporary-log.js'

test('every command has help that names its options', async () => {
  for (const { name, options } of commands) {
    const { code, out } = await plateau([...name.split(' '), '--help'])
    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`^usage: plateau ${name}`))
    for (const option of [...Object.keys(options), 'event-log', 'json']) expect(out).toContain(`--${option}`)
  }
})

test('the overview lists every command; without a command it is what is wrong', async () => {
  const asked = await plateau(['--help'])
  expect(asked.code).toBe(0)
  for (const { name, summary } of commands) expect(asked.out).toMatch(new RegExp(`^  ${name} +${summary}`, 'm'))
  expect(await plateau([])).toMatchObject({ code: 2 })
})

test('what cannot be understood is said in one sentence, with exit code 2', async () => {
  const wrong: [string[], string][] = [
    [['topcs', 'list'], 'plateau: there is no command "topcs list"'],
    [['topics', 'frob'], 'plateau: there is no command "topics frob"'],
    [['--verbose', 'lag'], 'plateau: --verbose stands before any command'],
    [['lag', '--colour'], "plateau: lag: Unknown option '--colour'"],
    [['lag', 'now'], "plateau: lag: Unexpected argument 'now'. This command does not take positional arguments"],
    [['lag', '--every', '0'], 'plateau: lag: --every "0" is not allowed; allowed: a whole number, at least 1'],
    [
      ['lag', '--event-log', 'redis:x'],
      'plateau: lag: PLATEAU_EVENT_LOG="redis:x" is not allowed; allowed: embedded:<directory> or kafka:',
    ],
  ]
  for (const [args, sentence] of wrong) {
    const { code, err, out } = await plateau(args)
    expect({ args, code, out }).toEqual({ args, code: 2, out: '' })
    expect(err.slice(0, sentence.length)).toBe(sentence)
    expect(err).toMatch(/\nsee: plateau .*--help\n$/)
  }
})

test('the log is the one that the services use; the command line goes before the environment', async () => {
  const { url } = await temporaryLog()
  const missing = `embedded:${join(temporaryDirectory(), 'missing')}`
  // Settings of a service, which its shell may hold, are no mistakes here.
  const environment = { PLATEAU_EVENT_LOG: url, PLATEAU_OPS_PORT: '1', PLATEAU_WIRE: 'confluent' }
  expect(await plateau(['lag'], { environment })).toMatchObject({ code: 0 })
  const kafka = { ...environment, PLATEAU_EVENT_LOG: 'kafka:localhost:1', PLATEAU_KAFKA_TLS: 'on' }
  expect(await plateau(['lag', '--event-log', url], { environment: kafka })).toMatchObject({ code: 0 })
  expect(await plateau(['lag', '--event-log', missing], { environment })).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^plateau lag failed: there is no event log in .*missing \(LOG_UNAVAILABLE\)\n$/),
  })
})
