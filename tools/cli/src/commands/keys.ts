import { messageOf, PlateauError } from '@plateau/contracts'
import type { ApiKey } from '@plateau/serving'
import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { command } from '../command.js'
import { flag, required, text, value, wholeNumber } from '../option.js'
import { table } from '../table.js'

const file = required('F', 'the keys file, as PLATEAU_API_KEYS_FILE of serving', text)
const limit = wholeNumber(1)

export const keysAdd = command({
  name: 'keys add',
  summary: 'makes an API key, prints it once, and adds its digest to the keys file',
  details:
    'Serving reads the file again by itself. Limits hold for a tenant: its keys share them, and must not name different ones.',
  options: {
    file,
    name: required('N', 'what the key is called, for people and logs', text),
    tenant: required('T', 'whose requests these are', text),
    admin: flag('may order roll-outs'),
    capture: flag('its requests may be streamed to the event log, and train drafts'),
    'no-speculation': flag('its responses are decoded plainly: their timing then tells nothing of their text'),
    'requests-per-minute': value('N', 'requests of the tenant in a minute', limit),
    'tokens-per-minute': value('N', 'tokens of the tenant in a minute, prompts and answers', limit),
    'max-concurrent': value('N', 'responses of the tenant at once', limit),
  },
  run: async (context, options) => {
    const { digestOf } = await import('@plateau/serving')
    const present = await readKeys(options.file, { create: true })
    const key = `pl_${randomBytes(32).toString('base64url')}`
    const added: ApiKey = {
      name: options.name,
      sha256: digestOf(key),
      tenant: options.tenant,
      admin: options.admin,
      capture: options.capture,
      noSpeculation: options['no-speculation'],
      requestsPerMinute: options['requests-per-minute'],
      tokensPerMinute: options['tokens-per-minute'],
      maxConcurrent: options['max-concurrent'],
    }
    await writeKeys(options.file, [...present, added])
    context.say(`key "${added.name}" of tenant "${added.tenant}"; it is shown this once:`)
    context.report({ json: { name: added.name, tenant: added.tenant, key }, text: `${key}\n` })
    return 0
  },
})

export const keysList = command({
  name: 'keys list',
  summary: 'the keys of a keys file: whose they are and what they may',
  options: { file },
  run: async (context, options) => {
    const keys = await readKeys(options.file, { create: false })
    const rows = keys.map((key) => [
      key.name,
      key.tenant,
      key.admin ? 'yes' : 'no',
      key.capture ? 'yes' : 'no',
      key.requestsPerMinute,
      key.tokensPerMinute,
      key.maxConcurrent,
      key.noSpeculation ? 'no' : 'yes',
    ])
    const heads = ['name', 'tenant', 'admin', 'capture', 'requests/min', 'tokens/min', 'at once', 'speculation']
    const shown = keys.map((key) => ({ ...key, sha256: undefined }))
    context.report({ json: shown, text: keys.length === 0 ? 'no keys\n' : table(heads, rows) })
    return 0
  },
})

export const keysRemove = command({
  name: 'keys remove',
  summary: 'takes a key out of the keys file: serving refuses it a few seconds later',
  options: { file, name: required('N', 'the key, by its name', text) },
  run: async (context, options) => {
    const keys = await readKeys(options.file, { create: false })
    const left = keys.filter(({ name }) => name !== options.name)
    const removed = left.length < keys.length
    if (removed) await writeKeys(options.file, left)
    const said = removed ? `key "${options.name}" removed\n` : `there is no key "${options.name}"\n`
    context.report({ json: { name: options.name, removed }, text: said })
    return removed ? 0 : 1
  },
})

async function readKeys(path: string, { create }: { readonly create: boolean }): Promise<ApiKey[]> {
  // The service's package is heavy: only these commands load it.
  const { parseApiKeys } = await import('@plateau/serving')
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (cause) {
    if (create && (cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new PlateauError('API_KEYS_UNREADABLE', `cannot read ${path}: ${messageOf(cause)}`, { cause })
  }
  return parseApiKeys(content)
}

/** Whole or not at all: serving may read at any moment. Throws what the file's reader would say of these keys. */
async function writeKeys(path: string, keys: readonly ApiKey[]): Promise<void> {
  const { formatApiKeys, parseApiKeys } = await import('@plateau/serving')
  const content = formatApiKeys(keys)
  parseApiKeys(content)
  const aside = `${path}.${process.pid}.tmp`
  await writeFile(aside, content, { mode: 0o600 })
  await rename(aside, path)
}
