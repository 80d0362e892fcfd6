/**
 * Module boundaries: who may depend on whom, by the `layer:` tag in each package.json. Undeclared and relative
 * cross-package imports are refused by pnpm's isolated node_modules and by tsc's rootDir already; this judges what is
 * declared, and that every outside technology has exactly one door.
 */
import { globSync, readFileSync } from 'node:fs'

interface PackageJson {
  name: string
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  nx?: { tags?: string[] }
}

const mayDependOn: Record<string, readonly string[]> = {
  contract: [],
  port: ['contract'],
  domain: ['domain'],
  adapter: ['contract', 'port', 'domain'],
  // The Nest shell opens the event log that the configuration names, so it may know the adapters.
  platform: ['contract', 'port', 'adapter', 'platform'],
  service: ['contract', 'port', 'domain', 'adapter', 'platform'],
  tool: ['contract', 'port', 'domain', 'adapter', 'platform', 'service', 'tool', 'dev-tool'],
  tests: ['contract', 'port', 'domain', 'adapter', 'platform', 'service', 'tool', 'dev-tool'],
  'dev-tool': [],
}

/** Outside packages that only the named layers or packages may depend on. */
const doors: readonly { readonly match: RegExp; readonly only: readonly string[] }[] = [
  { match: /^onnxruntime-node$/, only: ['@plateau/inference'] },
  { match: /^kafkajs$/, only: ['@plateau/event-log-kafka'] },
  { match: /^@grpc\/grpc-js$/, only: ['@plateau/rpc', '@plateau/contracts'] },
  { match: /^@huggingface\/(jinja|tokenizers)$/, only: ['@plateau/model-files'] },
  { match: /^hyparquet(-writer)?$/, only: ['@plateau/cli'] },
  { match: /^@peculiar\/x509$/, only: ['@plateau/dev-certificates'] },
  { match: /^yauzl$/, only: ['@plateau/model-hub'] },
  { match: /^@(aws-sdk|smithy)\//, only: ['@plateau/checkpoints'] },
  { match: /^zod$/, only: ['@plateau/config'] },
  { match: /^(pino|@opentelemetry\/)/, only: ['@plateau/telemetry'] },
  { match: /^@nestjs\//, only: ['@plateau/service-kit', 'layer:service'] },
]

/** One sentence per violation; empty when the declared dependencies respect the table. */
export function boundaryViolations(packages: readonly PackageJson[]): string[] {
  const layers = new Map(packages.map((p) => [p.name, p.nx?.tags?.find((t) => t.startsWith('layer:'))?.slice(6) ?? '']))
  return packages.flatMap((p) => {
    const layer = layers.get(p.name) ?? ''
    const allowed = mayDependOn[layer]
    if (!allowed) return [`${p.name}: no known layer tag ("${layer}")`]
    return Object.keys({ ...p.dependencies, ...p.devDependencies }).flatMap((dependency) => {
      const theirs = layers.get(dependency)
      const atRuntime = dependency in (p.dependencies ?? {})
      // What only serves development may serve anyone's tests.
      const inTests = theirs === 'dev-tool' && !atRuntime
      if (theirs !== undefined && !inTests && !allowed.includes(theirs)) {
        return [`${p.name} (${layer}) must not depend on ${dependency} (${theirs})`]
      }
      // Build tools are no part of what runs.
      if (layer === 'domain' && theirs === undefined && atRuntime)
        return [`${p.name} (domain) must not depend on ${dependency}`]
      const door = doors.find((d) => d.match.test(dependency))
      if (door && !door.only.includes(p.name) && !door.only.includes(`layer:${layer}`)) {
        return [`${p.name} must not depend on ${dependency}: only ${door.only.join(', ')} may`]
      }
      return []
    })
  })
}

export function readPackages(): PackageJson[] {
  return globSync([
    'libs/*/package.json',
    'services/*/package.json',
    'tools/*/package.json',
    'tests/package.json',
    'deploy/package.json',
  ]).map((file) => JSON.parse(readFileSync(file, 'utf8')) as PackageJson)
}
