import { Ajv } from 'ajv'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configs } from '../chart/pod-settings.ts'
import { compositionFolder, readComposition, settingsHere, type Container } from './composition.ts'
import { repository } from '../paths.ts'
import { runToEnd, services } from './testing.ts'

const folder = compositionFolder(repository)
const composition = readComposition(repository)
const containers = Object.entries(composition.services)
const scratch = mkdtempSync(join(tmpdir(), 'plateau-compose-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Names of the containers of which something holds. */
const where = (holds: (container: Container) => boolean) =>
  containers.filter(([, one]) => holds(one)).map(([name]) => name)
const read = (file: string) => readFileSync(join(repository, file), 'utf8')

test('the file is valid by the Compose Specification’s schema', () => {
  const { $schema: _, ...schema } = JSON.parse(read('deploy/compose/schema/compose-spec.json')) as Record<
    string,
    unknown
  >
  const isValid = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema)
  isValid(composition)
  expect(isValid.errors ?? []).toEqual([])
  isValid({ services: { a: { image: 'x', mem_limt: '1g' } } })
  expect(isValid.errors).not.toBeNull()
})

test('every image has a tag that says which; ours is this version, Kafka’s and the S3 server’s those that the tests run on', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  const images = new Set(containers.map(([, { image }]) => image))
  expect([...images].filter((image) => !/^[\w./-]+:v?\d+\.\d+\.\d+$/.test(image))).toEqual([])
  expect(images).toContain(`plateau:${version}`)
  const kafka = /kafkaVersion = '(.*)'/.exec(read('tools/kafka-dev/src/jars.ts'))?.[1]
  expect(images).toContain(`apache/kafka:${kafka}`)
  const gateway = /versitygw@(v[\d.]+)/.exec(read('tools/s3-dev/src/program.ts'))?.[1]
  expect(images).toContain(`versity/versitygw:${gateway}`)
  expect(
    where(
      (one) => one.image.startsWith('plateau:') && !existsSync(join(folder, one.build!.context, one.build!.dockerfile)),
    ),
  ).toEqual([])
})

test('no container has rights, a writable root, or memory without end', () => {
  expect(where((one) => one.cap_drop?.join() !== 'ALL')).toEqual([])
  expect(where((one) => !one.security_opt?.includes('no-new-privileges:true'))).toEqual([])
  expect(where((one) => !/^\d+[mg]$/.test(one.mem_limit ?? '') || !(one.pids_limit! > 0))).toEqual([])
  // Kafka's image writes its configuration beside its program.
  expect(where((one) => one.read_only !== true)).toEqual(['kafka'])
})

test('nobody is root but what hands out the secrets, which reaches no network', () => {
  expect(where((one) => /^(0|root)(:|$)/.test(one.user ?? ''))).toEqual(['secrets'])
  expect(where((one) => one.cap_add !== undefined)).toEqual(['secrets'])
  expect(composition.services['secrets']).toMatchObject({ network_mode: 'none', networks: [] })
  expect(where((one) => one.image.startsWith('plateau:') && one.user !== '10001:10001')).toEqual(['secrets'])
  // Its image's own user is another than root, and it has no other way to say so.
  expect(where((one) => one.user === undefined)).toEqual(['kafka'])
})

test('ports are published on loopback only, and only by what may leave the inside network', () => {
  expect(where((one) => (one.ports ?? []).some((port) => !/^127\.0\.0\.1:(\d+):\1$/.test(port)))).toEqual([])
  expect(composition.networks['inside']?.internal).toBe(true)
  expect(where((one) => one.networks?.includes('edge') === true)).toEqual(where((one) => one.ports !== undefined))
})

test('what is mounted from here exists and is not written to; every volume is declared and used', () => {
  const mounts = containers.flatMap(([, { volumes }]) => volumes ?? [])
  const files = mounts.filter(({ type }) => type === 'bind')
  expect(files.filter(({ source }) => !existsSync(join(folder, source))).map(({ source }) => source)).toEqual([])
  expect(files.filter((file) => file.read_only !== true)).toEqual([])
  const used = mounts.filter(({ type }) => type === 'volume').map(({ source }) => source)
  expect(new Set(used)).toEqual(new Set(Object.keys(composition.volumes)))
})

test('a secret is mounted by those that read it, for reading', () => {
  const mountedBy = (source: string) => where((one) => one.volumes?.some((volume) => volume.source === source) === true)
  expect(mountedBy('signing-key')).toEqual(['secrets', 'trainer'])
  expect(mountedBy('console-token')).toEqual(['secrets', 'console'])
  expect(mountedBy('grafana-password')).toEqual(['secrets', 'grafana'])
  expect(mountedBy('s3-keys').toSorted()).toEqual(['console', 's3', 's3-bucket', 'secrets', 'serving', 'trainer'])
  const writers = where(
    (one) => one.volumes?.some(({ target, read_only }) => target.startsWith('/run/plateau') && !read_only) === true,
  )
  expect(writers).toEqual([])
})

test('who waits for another waits for something that happens', () => {
  const waits = containers.flatMap(([name, { depends_on }]) =>
    Object.entries(depends_on ?? {}).map(([other, { condition }]) => ({
      name,
      other,
      condition,
      awaited: composition.services[other],
    })),
  )
  const never = waits.filter(({ condition, awaited }) =>
    condition === 'service_healthy' ? awaited?.healthcheck === undefined : awaited?.restart !== 'no',
  )
  expect(never).toEqual([])
  // What ends by itself is waited for, or nobody would see it fail.
  expect(where((one) => one.restart === 'no').filter((name) => !waits.some(({ other }) => other === name))).toEqual([])
})

test('secrets are made once, each readable by its owner only', () => {
  const make = () => runToEnd(process.execPath, [join(folder, 'make-secrets.mjs'), scratch])
  expect(make()).toMatchObject({ status: 0, stderr: '' })
  const key = readFileSync(join(scratch, 'signing-key/signing.pem'), 'utf8')
  expect(key).toContain('BEGIN PRIVATE KEY')
  expect(make()).toMatchObject({ status: 0, stdout: expect.stringContaining('signing-key/signing.pem: kept') })
  expect(readFileSync(join(scratch, 'signing-key/signing.pem'), 'utf8')).toBe(key)
})

test.each(services)('%s knows all its settings, and accepts them together', (service) => {
  const settings = settingsHere(composition, service, { repository, secrets: scratch })
  expect(() => configs[service]!.parse(settings)).not.toThrow()
  expect(() => configs[service]!.parse({ ...settings, PLATEAU_MADE_UP: 'x' })).toThrow('PLATEAU_MADE_UP')
})

const { scrape_configs: jobs } = parse(read('deploy/compose/prometheus.yml')) as {
  scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[]
}

test('Prometheus scrapes every service and nothing else', () => {
  expect(jobs.map(({ job_name }) => job_name).toSorted()).toEqual([...services].toSorted())
})

test.each(services)(
  '%s is asked for its health and metrics on its own ops port, which deploy/README.md names',
  (service) => {
    const { stdout } = runToEnd(process.execPath, [join(repository, 'services', service, 'dist/main.js'), '--help'])
    const port = /PLATEAU_OPS_PORT[^]*?default (\d+)/.exec(stdout)![1]!
    expect(composition.services[service]!.healthcheck!.test.at(-1)).toBe(port)
    const job = jobs.find(({ job_name }) => job_name === service)
    expect(job?.static_configs[0]?.targets).toEqual([`${service}:${port}`])
    const row = read('deploy/README.md')
      .split('\n')
      .find((line) => line.startsWith(`| ${service} |`))
    expect(row).toContain(port)
  },
)
