import { get } from 'node:http'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { runCli } from './cli.js'
import { freePort } from './ports.js'
import { openS3, startS3 } from './server.js'
import { describeWithS3 } from './testing.js'

const folder = mkdtempSync(join(tmpdir(), 'plateau-s3-dev-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const said: string[] = []
const command = (...args: string[]): Promise<number> => runCli(args, { write: (text: string) => said.push(text) })

describeWithS3('an S3 server', () => {
  test('serves, dies, comes back on its port with its data, and leaves nothing behind', async () => {
    const server = await startS3()
    writeFileSync(join(server.bucketDirectory, 'object'), 'kept')
    await server.kill9()
    expect([server.pid, await server.isServing()]).toEqual([undefined, false])
    await server.start()
    expect(await server.isServing()).toBe(true)
    expect(existsSync(join(server.bucketDirectory, 'object'))).toBe(true)
    // Who has no key gets nothing.
    expect(await statusOf(`${server.endpoint}/${server.settings.bucket}/object`)).toBe(403)
    await server.destroy()
    expect(existsSync(server.directory)).toBe(false)
  })

  test('is started, found, stopped and removed by commands, with the settings for Plateau printed', async () => {
    const directory = join(folder, 'by-hand')
    const port = String(await freePort())
    expect(await command('status', '--dir', directory)).toBe(3)
    expect(await command('start', '--dir', directory, '--port', port, '--tls')).toBe(0)
    expect(said.join('')).toContain(
      `PLATEAU_CHECKPOINTS=s3://checkpoints/drafts\n  PLATEAU_S3_ENDPOINT=https://127.0.0.1:${port}`,
    )
    expect(await command('status', '--dir', directory)).toBe(0)
    openS3(directory).freeze()
    expect(await command('status', '--dir', directory)).toBe(4)
    openS3(directory).thaw()
    expect(await command('stop', '--dir', directory)).toBe(0)
    expect(await command('status', '--dir', directory)).toBe(3)
    expect(await command('destroy', '--dir', directory)).toBe(0)
    expect(existsSync(directory)).toBe(false)
  })

  test('is not put into a folder of others', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'plateau-s3-others-'))
    writeFileSync(join(directory, 'mine'), '')
    await expect(startS3({ directory })).rejects.toMatchObject({ code: 'WRONG_FOLDER' })
    await expect(command('stop', '--dir', directory)).rejects.toMatchObject({ code: 'WRONG_FOLDER' })
    rmSync(directory, { recursive: true })
  })
})

test('mistakes in the arguments are named', async () => {
  for (const args of [['strat'], ['start', '--port', 'x'], ['start', '--nonsense'], ['stop', 'now']]) {
    await expect(command(...args)).rejects.toMatchObject({ code: 'BAD_OPTION' })
  }
})

function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}
