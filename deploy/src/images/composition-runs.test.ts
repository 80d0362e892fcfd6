import { freePorts, kafkaUnavailable, startBroker } from '@plateau/kafka-dev'
import { findGateway, s3Unavailable } from '@plateau/s3-dev'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { repository } from '../paths.ts'
import { compositionFolder, hereFor, readComposition, settingsHere, type Places } from './composition.ts'
import { runToEnd, services, start } from './testing.ts'

const composition = readComposition(repository)
const missing = kafkaUnavailable() ?? s3Unavailable()
if (missing !== undefined) process.stderr.write(`\n!!! SKIPPED: the composition as processes (${missing})\n`)

// Without a container engine: the composition's own commands and settings, as processes on this machine, on a real broker
// and a real S3 server. Only paths and addresses are others.
test.skipIf(missing !== undefined && process.env['CI'] === undefined)(
  'the composition learns: topics and bucket are made, requests answered, a signed version is stored, seen by serving and the console, and all drain',
  async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'plateau-composition-'))
    onTestFinished(() => rmSync(scratch, { recursive: true, force: true }))
    const broker = await startBroker()
    onTestFinished(() => broker.destroy())
    const [s3, target, http, grpc, admin, page] = await freePorts(6)
    const places: Places = {
      repository,
      secrets: scratch,
      addresses: {
        'kafka:9092': broker.bootstrapServers.join(),
        's3:9000': `127.0.0.1:${s3}`,
        ':9000': `127.0.0.1:${s3}`,
        'target-model:7070': `127.0.0.1:${target}`,
        '0.0.0.0:7070': `127.0.0.1:${target}`,
        '0.0.0.0:7080': `127.0.0.1:${grpc}`,
        '127.0.0.1:7081': `127.0.0.1:${admin}`,
        '0.0.0.0': '127.0.0.1',
      },
    }
    // A container has ports of its own; a process of this machine shares them with others.
    const portsOf: Readonly<Record<string, Record<string, string>>> = {
      serving: { PLATEAU_HTTP_PORT: String(http) },
      console: { PLATEAU_CONSOLE_PORT: String(page) },
    }
    const gatewayPath = { PATH: `${dirname(findGateway()!)}:${process.env['PATH']}` }
    const shell = (name: string) =>
      composition.services[name]!.command!.map((line) => hereFor(composition.services[name]!, line, places))
    const environment = (name: string) => ({ ...settingsHere(composition, name, places), ...gatewayPath })

    expect(runToEnd(process.execPath, [join(compositionFolder(repository), 'make-secrets.mjs'), scratch]).status).toBe(
      0,
    )
    const gateway = start('/bin/sh', ['-c', ...shell('s3')], environment('s3'))
    onTestFinished(() => gateway.signal('SIGKILL'))
    await until('S3 answers', () => isOk(`http://127.0.0.1:${s3}/health`))
    // The second time it is there already, which is no failure.
    for (let time = 0; time < 2; time++)
      expect(runToEnd('/bin/sh', ['-c', ...shell('s3-bucket')], environment('s3-bucket'))).toMatchObject({ status: 0 })
    const cli = join(repository, 'tools/cli/dist/main.js')
    const [, ...apply] = composition.services['topics']!.command!
    expect(runToEnd(process.execPath, [cli, ...apply], environment('topics'))).toMatchObject({ status: 0 })

    const running = services.map((name) => {
      const main = join(repository, 'services', name, 'dist/main.js')
      const settings = { ...environment(name), ...portsOf[name], PLATEAU_OPS_PORT: '0' }
      const service = start(process.execPath, [main], settings)
      onTestFinished(() => service.signal('SIGKILL'))
      return { name, ...service }
    })
    for (const { name, output } of running) {
      await until(`${name} is ready`, () => isOk(`${opsUrl(output())}/readyz`), output)
    }

    const token = readFileSync(join(scratch, 'console-token/token'), 'utf8')
    const fromConsole = async <T>(path: string) => {
      const headers = { authorization: `Bearer ${token}` }
      const answer = await fetch(`http://127.0.0.1:${page}/api/${path}`, { headers })
      expect(answer.status).toBe(200)
      return (await answer.json()) as T
    }
    const tested = async (): Promise<number | undefined> => {
      const { lineages } = await fromConsole<{ lineages: { events: { state: string; version: number }[] }[] }>(
        'state.json',
      )
      return lineages[0]?.events.find(({ state }) => /verified|shadow|canary|live/.test(state))?.version
    }
    const ask = async () => {
      const body = JSON.stringify({ prompt: 'The state of the Union is', max_tokens: 64, temperature: 1 })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`http://127.0.0.1:${http}/v1/completions`, { method: 'POST', headers, body })
      expect(answer.status).toBe(200)
      expect(await answer.json()).toMatchObject({ choices: [{ text: expect.stringMatching(/\S/) }] })
    }
    const outputs = () => running.map(({ output }) => output()).join('')
    await until(
      'traffic has made a version, which serving has verified and the console reads from the store',
      async () => {
        await ask()
        const version = await tested()
        if (version === undefined) return false
        const { files } = await fromConsole<{ files: { kind: string } }>(`versions/default/${version}.json`)
        return files.kind === 'found'
      },
      outputs,
    )

    for (const { signal } of running) signal('SIGTERM')
    expect(await Promise.all(running.map(({ ended }) => ended))).toEqual(services.map(() => 0))
  },
  240_000,
)

function opsUrl(output: string): string {
  return /"url":"([^"]+)","message":"ops port open"/.exec(output)?.[1] ?? 'http://127.0.0.1:1'
}

async function isOk(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    (response) => response.ok,
    () => false,
  )
}

async function until(what: string, condition: () => Promise<boolean>, output = () => ''): Promise<void> {
  for (const giveUpAt = performance.now() + 90_000; !(await condition()); await sleep(100)) {
    if (performance.now() > giveUpAt)
      throw new Error(`still not so: ${what}\n${output().split('\n').slice(-20).join('\n')}`)
  }
}
