import { defineConfig, text } from '@plateau/config'
import type { EventLog } from '@plateau/event-log'
import type { Logger, LogFields } from '@plateau/telemetry'
import { describe, expect, it } from 'vitest'
import { runService, type ProcessHost, type RunningService, type ServiceContext } from './index.js'

const config = defineConfig({ model: text({ env: 'PLATEAU_MODEL', help: 'Model.' }) })
type Context = ServiceContext<{ model: string }>

/** A process that is not one: records what it printed and how it ended. */
function fakeHost(environment: Record<string, string>, args: string[] = []) {
  const exit = Promise.withResolvers<number>()
  const printed: string[] = []
  let signal: (name: string) => void = () => {}
  let fatal: (error: unknown) => void = () => {}
  const host: ProcessHost = {
    environment: { PLATEAU_OPS_PORT: '0', PLATEAU_DRAIN_SECONDS: '0.2', ...environment },
    arguments: args,
    print: (line) => printed.push(line),
    printError: (line) => printed.push(line),
    onSignal: (listener) => (signal = listener),
    onFatal: (listener) => (fatal = listener),
    exit: (code) => exit.resolve(code),
  }
  return {
    host,
    printed,
    exited: exit.promise,
    signal: () => signal('SIGTERM'),
    fatal: (error: unknown) => fatal(error),
  }
}

function recorder() {
  const events: string[] = []
  const lines: { message: string; fields: LogFields }[] = []
  const record = (message: string, fields: LogFields = {}): void => void lines.push({ message, fields })
  const logger: Logger = {
    debug: record,
    info: record,
    warn: record,
    error: record,
    fatal: record,
    child: () => logger,
  }
  const eventLog = { close: async () => void events.push('event log closed') } as unknown as EventLog
  return { events, lines, logger, eventLog }
}

async function run(
  start: (context: Context) => Promise<RunningService>,
  environment: Record<string, string> = { PLATEAU_MODEL: 'm' },
) {
  const seen = recorder()
  const process = fakeHost(environment)
  const ended = runService(
    { name: 'sample', config, opsPort: 0, start },
    { host: process.host, logger: seen.logger, eventLog: seen.eventLog },
  )
  const opsUrl = async (): Promise<string> => {
    for (;;) {
      const line = seen.lines.find(({ message }) => message === 'ops port open')
      if (line !== undefined) return line.fields['url'] as string
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const logged = async (message: string): Promise<LogFields> => {
    for (;;) {
      const line = seen.lines.find((candidate) => candidate.message === message)
      if (line !== undefined) return line.fields
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  return { ...seen, ...process, ended, opsUrl, logged }
}

describe('runService', () => {
  it('prints every problem of the configuration and exits with 2', async () => {
    const { printed, exited } = await run(async () => ({ stop: async () => {} }), {
      PLATEAU_KEEEP: '1',
      PLATEAU_LOG_LEVEL: 'loud',
    })
    expect(await exited).toBe(2)
    expect(printed.join('')).toContain('sample cannot start: the configuration has 3 problems')
    for (const name of ['PLATEAU_KEEEP', 'PLATEAU_LOG_LEVEL', 'PLATEAU_MODEL']) expect(printed.join('')).toContain(name)
  })

  it('--help lists the common settings and the service own', async () => {
    const process = fakeHost({}, ['--help'])
    await runService(
      { name: 'sample', config, opsPort: 9100, start: async () => ({ stop: async () => {} }) },
      { host: process.host },
    )
    expect(await process.exited).toBe(0)
    expect(process.printed.join('')).toMatch(/PLATEAU_EVENT_LOG[^]*default 9100[^]*PLATEAU_MODEL/)
  })

  it('drains in order: intake, the service, the event log, the ops port', async () => {
    const service = await run(async ({ signal }) => {
      signal.addEventListener('abort', () => service.events.push('intake stopped'))
      return { stop: async () => void service.events.push('service stopped') }
    })
    await service.logged('service running')
    const url = await service.opsUrl()
    service.signal()
    expect(await service.exited).toBe(0)
    expect(service.events).toEqual(['intake stopped', 'service stopped', 'event log closed'])
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
  })

  it('answers health and metrics while it runs, and is not ready while it starts or drains', async () => {
    const starting = Promise.withResolvers<void>()
    const stopping = Promise.withResolvers<void>()
    const service = await run(async ({ metrics, health }) => {
      metrics.counter('plateau_trainer_solves_total').add({}, 2)
      health.ready('target', () => undefined)
      await starting.promise
      return { stop: () => stopping.promise }
    })
    const url = await service.opsUrl()
    const get = async (path: string) => {
      const response = await fetch(url + path)
      return { status: response.status, body: await response.text() }
    }
    expect(await get('/readyz')).toMatchObject({ status: 503, body: expect.stringContaining('starting') })
    expect((await get('/healthz')).status).toBe(200)
    starting.resolve()
    await service.logged('service running')
    expect((await get('/readyz')).status).toBe(200)
    const metrics = (await get('/metrics')).body
    expect(metrics).toContain('plateau_trainer_solves_total 2')
    expect(metrics).toContain('plateau_process_resident_memory_bytes')
    expect((await get('/elsewhere')).status).toBe(404)
    service.signal()
    await service.logged('draining')
    expect(await get('/readyz')).toMatchObject({ status: 503, body: expect.stringContaining('draining') })
    stopping.resolve()
    expect(await service.exited).toBe(0)
  })

  it('exits with 1 when the drain takes too long', async () => {
    const service = await run(async () => ({ stop: () => new Promise(() => {}) }))
    await service.logged('service running')
    service.signal()
    expect(await service.exited).toBe(1)
    expect(String((await service.logged('drain failed'))['error'])).toContain('did not finish within 200 ms')
  })

  it('a second signal ends the process at once', async () => {
    const service = await run(async () => ({ stop: () => new Promise(() => {}) }))
    await service.logged('service running')
    service.signal()
    service.signal()
    expect(await service.exited).toBe(1)
  })

  it('a failure in the background drains and exits with 1', async () => {
    const service = await run(async ({ fail }) => {
      setTimeout(() => fail(new Error('consumer died')), 5)
      return { stop: async () => void service.events.push('service stopped') }
    })
    expect(await service.exited).toBe(1)
    expect(service.events).toEqual(['service stopped', 'event log closed'])
  })

  it('a failed start closes what was opened and exits with 1', async () => {
    const service = await run(async () => Promise.reject(new Error('no such model')))
    expect(await service.exited).toBe(1)
    expect(service.events).toEqual(['event log closed'])
    expect(String((await service.logged('could not start'))['error'])).toContain('no such model')
  })

  it('an error that nothing handled is logged and ends the process', async () => {
    const service = await run(async () => ({ stop: async () => {} }))
    await service.logged('service running')
    service.fatal(new Error('boom'))
    expect(await service.exited).toBe(1)
    expect(await service.logged('unhandled error')).toMatchObject({ error: new Error('boom') })
    service.signal()
    await service.ended
  })

  it('an event log that cannot be opened ends the start, and is named', async () => {
    const seen = recorder()
    const process = fakeHost({ PLATEAU_MODEL: 'm', PLATEAU_EVENT_LOG: `embedded:${import.meta.filename}` })
    const start = async () => ({ stop: async () => {} })
    await runService({ name: 'sample', config, opsPort: 0, start }, { host: process.host, logger: seen.logger })
    expect(await process.exited).toBe(1)
    expect(String(seen.lines.find(({ message }) => message === 'could not start')?.fields['error'])).toContain(
      'run-service.test.ts',
    )
  })
})
