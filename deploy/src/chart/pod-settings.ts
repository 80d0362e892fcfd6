/** Whether a pod's settings are what its service takes: by the service's own schema, with the files that the pod would have. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { ConfigError, mergeConfigs, type Config, type Fields } from '@plateau/config'
import { consoleService } from '@plateau/console'
import { issueCertificate, makeAuthority, validFor } from '@plateau/dev-certificates'
import { flatnessScorer } from '@plateau/flatness-scorer'
import { commonConfig, eventLogConfig } from '@plateau/service-kit'
import { servingConfig } from '@plateau/serving'
import { targetModel } from '@plateau/target-model'
import { trainer } from '@plateau/trainer'
import {
  containersOf,
  nameOf,
  ofKind,
  workloads,
  type Container,
  type KubernetesObject,
  type Workload,
} from './kubernetes-objects.js'
import { repository } from '../paths.js'
import { settingOf } from './pod-policies.js'

type AnyConfig = Pick<Config<Fields>, 'parse'>

const withCommon = <F extends Fields>(opsPort: number, config: Config<F>): AnyConfig =>
  mergeConfigs(commonConfig(opsPort), config) as unknown as AnyConfig

/** By the image's first argument. */
export const configs: Readonly<Record<string, AnyConfig>> = {
  'target-model': withCommon(9101, targetModel.config),
  'flatness-scorer': withCommon(9102, flatnessScorer.config),
  trainer: withCommon(9103, trainer.config),
  serving: withCommon(9080, servingConfig),
  console: withCommon(9104, consoleService.config),
  plateau: eventLogConfig,
}

/** Where the repository's files are in the image. */
const IMAGE_ROOT = '/opt/plateau'

/** A sentence for every setting that a service would refuse to start with. */
export async function settingViolations(objects: readonly KubernetesObject[]): Promise<string[]> {
  const problems: string[] = []
  const certificates = ofKind<CertificateSpec>(objects, 'Certificate').map(({ spec }) => spec)
  for (const workload of workloads(objects)) {
    const root = mkdtempSync(join(tmpdir(), 'plateau-pod-'))
    await layFiles(root, workload, certificates)
    for (const container of containersOf(workload)) problems.push(...containerViolations(root, workload, container))
    rmSync(root, { recursive: true })
  }
  return problems
}

function containerViolations(root: string, workload: Workload, container: Container): string[] {
  const variables = container.env ?? []
  if (!variables.some(({ name }) => name.startsWith('PLATEAU_'))) return []
  const where = `${nameOf(workload)}: ${container.name}`
  const config = configs[container.args?.[0] ?? '']
  if (config === undefined) return [`${where} runs ${container.args?.[0]}, which is no service`]
  const twice = variables.filter(({ name }, index) => variables.findIndex((other) => other.name === name) !== index)
  const settings = variables.map(({ name, value }): [string, string] => [name, localPath(root, container, value ?? '')])
  try {
    config.parse(Object.fromEntries(settings))
    return twice.map(({ name }) => `${where} sets ${name} twice`)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((problem) => `${where}: ${problem}`)
    throw error
  }
}

/** Paths of the pod as they are here; a path that nothing is mounted at stays as it is, and does not exist. */
function localPath(root: string, { volumeMounts = [] }: Container, value: string): string {
  if (value.startsWith(`${IMAGE_ROOT}/`)) return join(repository, value.slice(IMAGE_ROOT.length))
  const isMounted = volumeMounts.some(({ mountPath }) => value === mountPath || value.startsWith(`${mountPath}/`))
  return isMounted ? join(root, value) : value
}

interface CertificateSpec {
  readonly secretName: string
  readonly uris: readonly string[]
  readonly dnsNames?: readonly string[]
}

/** The files and folders that the pod's volumes would have. */
async function layFiles(root: string, workload: Workload, certificates: readonly CertificateSpec[]): Promise<void> {
  const volumes = workload.spec.template.spec.volumes ?? []
  for (const container of containersOf(workload)) {
    for (const { name, mountPath } of container.volumeMounts ?? []) {
      mkdirSync(join(root, mountPath), { recursive: true })
      const secret = volumes.find((volume) => volume.name === name)?.secret
      const issued = certificates.find(({ secretName }) => secretName === secret?.secretName)
      const texts = name === 'tls' ? await certificateTexts(issued ?? ownCertificate(workload, container)) : {}
      for (const { key, path } of secret?.items ?? []) {
        writeFileSync(join(root, mountPath, path), texts[key] ?? 'a secret of 24 characters')
      }
    }
    for (const { value = '' } of container.env ?? []) {
      // What init containers put there, and what a model's claim holds.
      if (value.startsWith('/models/') && extname(value) !== '.gguf') mkdirSync(join(root, value), { recursive: true })
      else if (/^\/(models|run\/plateau)\//.test(value)) writeFileSync(join(root, value), 'a file')
    }
  }
}

/** Of a user who makes certificates by hand, as the README says. */
function ownCertificate({ metadata }: Workload, { name, env }: Container): CertificateSpec {
  const domain = settingOf(env, 'PLATEAU_TRUST_DOMAIN')
  return { secretName: '', uris: [`spiffe://${domain}/ns/${metadata.namespace}/sa/${name}`] }
}

/** What would be in the secret of such a certificate, by key. */
async function certificateTexts({ uris, dnsNames = [] }: CertificateSpec): Promise<Readonly<Record<string, string>>> {
  const authority = await makeAuthority('an authority', validFor(2, Date.now()))
  const request = { ...validFor(1, Date.now()), commonName: 'a service', uris, hosts: dnsNames }
  const { certificate, key } = await issueCertificate(authority, request)
  return { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate }
}
