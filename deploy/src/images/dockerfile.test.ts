import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { repository } from '../paths.ts'
import { services } from './testing.ts'

const read = (file: string) => readFileSync(join(repository, file), 'utf8')

interface Instruction {
  readonly name: string
  readonly text: string
}

/** The Dockerfile's instructions in order, comments gone and continued lines joined. */
const instructions: readonly Instruction[] = read('deploy/docker/Dockerfile')
  .replace(/^\s*#.*\n/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ name: line.split(/\s/, 1)[0]!, text: line.replace(/^\S+\s+/, '').replace(/\s+/g, ' ') }))

const textsOf = (name: string) => instructions.filter((one) => one.name === name).map(({ text }) => text)
const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
const inLastStage = (name: string) => lastStage.filter((one) => one.name === name).map(({ text }) => text)

test('bases are pinned by a tag, that of Node.js by the version that the tests run on', () => {
  const { nodeVersion } = parse(read('pnpm-workspace.yaml')) as { nodeVersion: string }
  const images = textsOf('ARG').flatMap((text) => /^\w+_IMAGE=(.*)$/.exec(text)?.slice(1) ?? [])
  expect(images).toEqual([`node:${nodeVersion}-bookworm-slim`, 'debian:bookworm-slim'])
  const stages = textsOf('FROM').map((text) => / AS (\w+)$/.exec(text)?.[1])
  for (const from of textsOf('FROM')) {
    const image = from.replace(/^--platform=\S+ /, '').replace(/ AS .*/, '')
    expect(/^\$\{(NODE|BASE)_IMAGE\}$/.test(image) || stages.includes(image)).toBe(true)
  }
})

test('what runs is nobody: a number, so that Kubernetes can tell, and no shell, and no program that changes the user', () => {
  expect(inLastStage('USER')).toEqual(['10001:10001'])
  const [made] = textsOf('RUN').filter((text) => text.includes('useradd'))
  expect(made).toContain('--uid 10001 --gid 10001')
  expect(made).toContain('--shell /usr/sbin/nologin')
  expect(made).toContain('chmod a-s')
})

test('nothing is fetched by URL, and the last stage runs nothing: no tool of the build is in it', () => {
  expect(textsOf('ADD')).toEqual([])
  expect(textsOf('RUN').filter((text) => /\b(curl|wget|git clone)\b/.test(text))).toEqual([])
  expect(inLastStage('RUN')).toEqual([])
  expect(inLastStage('COPY')).toEqual(['--from=build /opt/plateau /opt/plateau'])
})

test('process 1 is an init in exec form, so that SIGTERM arrives', () => {
  expect(inLastStage('ENTRYPOINT').map((text) => JSON.parse(text) as string[])).toEqual([
    ['/usr/bin/tini', '--', '/opt/plateau/bin/entrypoint.sh'],
  ])
  expect(inLastStage('CMD')).toEqual([])
})

test('no setting and no secret is baked in', () => {
  expect([...textsOf('ENV'), ...textsOf('ARG')].filter((text) => /PLATEAU_|SECRET|TOKEN|PASSWORD/.test(text))).toEqual(
    [],
  )
})

test('labels say what it is; the version is package.json’s', () => {
  const [labels = ''] = inLastStage('LABEL')
  for (const name of ['title', 'description', 'version', 'revision', 'licenses'])
    expect(labels).toContain(`org.opencontainers.image.${name}=`)
  const { version } = JSON.parse(read('package.json')) as { version: string }
  expect(inLastStage('ARG')).toContain(`VERSION=${version}`)
})

test('the entry point knows every service', () => {
  const folders = globSync('services/*/package.json', { cwd: repository }).map((file) => file.split('/')[1])
  expect(new Set<string | undefined>(services)).toEqual(new Set(folders))
  expect(read('deploy/docker/entrypoint.sh')).toContain(services.join(' | '))
})

/** Whether Docker leaves a file out of the build context: the last pattern that matches it or a folder above it decides. */
function isIgnored(path: string): boolean {
  const parts = path.split('/')
  const paths = parts.map((_, i) => parts.slice(0, i + 1).join('/'))
  return read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .reduce((ignored, line) => {
      const pattern = line.replace(/^!/, '')
      return paths.some((one) => asExpression(pattern).test(one)) ? !line.startsWith('!') : ignored
    }, false)
}

/** Docker's own matching: names that begin with a dot are names like others. */
function asExpression(pattern: string): RegExp {
  const literal = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${literal.replace(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(.*/)?'))}$`)
}

test.each([
  '.git/config',
  'node_modules/pino/package.json',
  'libs/rpc/node_modules/pino/package.json',
  'libs/rpc/dist/index.js',
  'services/serving/.env',
  'deploy/docker/tls.key',
  'signing.pem',
  'libs/checkpoints/signing.pem',
  'models/my-model/model.safetensors',
  '.plateau/event-log/x.db',
  'tools/demo/run.log',
  'docs/demo.svg',
])('%s stays out of the build context', (path) => expect(isIgnored(path)).toBe(true))

test('what the build copies, installs and compiles is in the build context', () => {
  const sources = globSync('{libs,services,tools}/*/{package.json,tsconfig.json,src/index.ts,src/main.ts}', {
    cwd: repository,
  })
  const copied = textsOf('COPY')
    .filter((text) => !text.startsWith('--from'))
    .flatMap((text) => text.split(' ').slice(0, -1))
    .filter((source) => source !== '.')
  const others = [
    'package.json',
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    'tsconfig.base.json',
    'proto/buf.yaml',
    '.npmrc',
  ]
  const wanted = [
    ...sources,
    ...copied,
    ...others,
    ...globSync('patches/*', { cwd: repository }),
    'models/demo-target/config.json',
  ]
  expect(copied.map((file) => basename(file))).toEqual(['entrypoint.sh', 'ready.mjs'])
  expect(wanted.filter((file) => isIgnored(file))).toEqual([])
})
