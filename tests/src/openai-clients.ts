/** What the tests of OpenAI's own clients share: the service with keys, and a Python that has the client. */
import { startServingFixture, until, type ServingFixture } from '@plateau/serving/testing'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mustRun, root } from './consumer-tools.js'

export const MODEL = 'tiny-target'
/** A key without bounds, and one that may ask once in a minute. */
export const KEY = 'pl_clients'
export const RARE_KEY = 'pl_rare'

export interface Service {
  readonly url: string
  readonly fixture: ServingFixture
  close(): Promise<void>
}

type FixtureOptions = NonNullable<Parameters<typeof startServingFixture>[1]>

/** Serving with a keys file, over a target that answers at once. */
export async function startServiceWithKeys(options: FixtureOptions = {}): Promise<Service> {
  const folder = await mkdtemp(join(tmpdir(), 'plateau-clients-'))
  const file = join(folder, 'keys.json')
  const keys = [
    { name: 'clients', sha256: digest(KEY), tenant: 'clients' },
    { name: 'rare', sha256: digest(RARE_KEY), tenant: 'rare', requestsPerMinute: 1 },
  ]
  await writeFile(file, JSON.stringify({ keys }))
  const fixture = await startServingFixture({ PLATEAU_API_KEYS_FILE: file }, options)
  if (options.target !== 'none') await until(async () => (await fetch(`${fixture.url}/readyz`)).ok)
  return {
    url: fixture.url,
    fixture,
    close: async () => {
      await fixture.close()
      await rm(folder, { recursive: true })
    },
  }
}

const REQUIREMENT = 'openai==3.57.0'

/** A Python with OpenAI's client; made once, in a cache folder of the repository. */
export async function pythonWithClient(): Promise<string> {
  const done = join(root, '.plateau/clients', REQUIREMENT)
  const interpreter = join(done, 'bin/python')
  if (existsSync(interpreter)) return interpreter
  // Made aside and moved into place: an interrupted set-up is not taken for a whole one.
  const making = `${done}.${process.pid}`
  rmSync(making, { recursive: true, force: true })
  mkdirSync(join(done, '..'), { recursive: true })
  await mustRun('python3', ['-m', 'venv', making])
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', REQUIREMENT]
  await mustRun(join(making, 'bin/python'), pip, { timeoutMs: 300_000 })
  if (existsSync(done)) rmSync(making, { recursive: true, force: true })
  else renameSync(making, done)
  return interpreter
}

function digest(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
