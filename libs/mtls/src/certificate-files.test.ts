import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CertificateFiles, type CertificateEvent, type CertificatePaths } from './certificate-files.js'
import { DAY_MS, filesOf, nowMs, stranger, texts, uriOf } from './testing.js'

function open(paths: CertificatePaths, clock = () => nowMs) {
  const events: CertificateEvent[] = []
  const files = CertificateFiles.open({
    ...paths,
    service: 'serving',
    trustDomain: undefined,
    intervalMs: 3_600_000,
    clock,
    onEvent: (event) => events.push(event),
  })
  onTestFinished(() => files.close())
  const heard: string[] = []
  files.onChange(({ cert }) => heard.push(cert))
  return { files, events, heard }
}

describe('certificates of files that change', () => {
  it('come into force when they fit together, not before, and nothing is said of the time between', async () => {
    const [first, second] = await Promise.all([texts(), texts()])
    const paths = filesOf(first)
    const { files, events, heard } = open(paths)
    paths.write({ cert: second.cert })
    files.look()
    expect(files.current).toEqual(first)
    paths.write({ key: second.key })
    files.look()
    expect(files.current).toEqual(second)
    expect(heard).toEqual([second.cert])
    expect(events.map(({ kind }) => kind)).toEqual(['reloaded'])
    files.look()
    expect(heard).toHaveLength(1)
  })

  it('stay what they were while the files are broken, which is said once', async () => {
    const first = await texts()
    const paths = filesOf(first)
    const { files, events, heard } = open(paths)
    paths.write({ cert: (await texts({}, stranger)).cert })
    for (let i = 0; i < 5; i++) files.look()
    expect(files.current).toEqual(first)
    expect(heard).toEqual([])
    expect(events).toEqual([
      { kind: 'refused', problems: [expect.any(String), expect.stringContaining('no authority')] },
    ])
    rmSync(paths.keyFile)
    for (let i = 0; i < 5; i++) files.look()
    expect(events[1]).toMatchObject({ problems: [expect.stringContaining(`${paths.keyFile} cannot be read`)] })
    paths.write(await texts())
    files.look()
    expect(events.map(({ kind }) => kind)).toEqual(['refused', 'refused', 'reloaded'])
  })

  it('follow a symbolic link that is swapped, as in a mounted secret', async () => {
    const [first, second] = await Promise.all([texts(), texts()])
    const directory = mkdtempSync(join(tmpdir(), 'mtls-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const mount = (name: string, { cert, key, ca }: typeof first): void => {
      mkdirSync(join(directory, name))
      for (const [file, text] of Object.entries({ 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca }))
        writeFileSync(join(directory, name, file), text, { mode: 0o400 })
      symlinkSync(name, join(directory, '..data_tmp'))
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
    }
    mount('1', first)
    for (const file of ['tls.crt', 'tls.key', 'ca.crt']) symlinkSync(join('..data', file), join(directory, file))
    const at = (file: string): string => join(directory, file)
    const { files } = open({ certFile: at('tls.crt'), keyFile: at('tls.key'), caFile: at('ca.crt') })
    mount('2', second)
    files.look()
    expect(files.current).toEqual(second)
  })

  it('warn while there is time to renew, once, and go on being used when nobody did', async () => {
    const paths = filesOf(await texts())
    let now = nowMs
    const { files, events } = open(paths, () => now)
    now = nowMs + 7 * DAY_MS
    files.look()
    expect(events).toEqual([])
    now = nowMs + 8 * DAY_MS
    files.look()
    files.look()
    expect(events).toMatchObject([{ kind: 'expires', what: 'certificate' }])
    now = nowMs + 11 * DAY_MS
    for (let i = 0; i < 3; i++) files.look()
    expect(events[1]).toMatchObject({ kind: 'refused', problems: [expect.stringContaining('expired')] })
    expect(events).toHaveLength(2)
  })

  it('warn of a key that others can read', async () => {
    const paths = filesOf(await texts())
    chmodSync(paths.keyFile, 0o644)
    const { events } = open(paths)
    expect(events).toEqual([{ kind: 'exposed', path: paths.keyFile }])
  })

  it('end the start with every problem when there are none to begin with', async () => {
    const paths = filesOf(await texts({ uris: [uriOf('trainer')] }))
    paths.write({ key: (await texts()).key })
    expect(() => open(paths)).toThrow(/does not belong.*"trainer", and this is serving/)
    rmSync(paths.certFile)
    rmSync(paths.caFile)
    expect(() => open(paths)).toThrow(new RegExp(`${paths.certFile} cannot be read.*${paths.caFile} cannot be read`))
  })
})
