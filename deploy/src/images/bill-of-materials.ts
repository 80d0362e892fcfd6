import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { debianPackages } from './debian-packages.ts'

/** The parts of CycloneDX 1.6 that are used here. */
export interface Component {
  readonly type: string
  readonly name: string
  readonly version: string
  readonly group?: string
  readonly purl: string
  readonly 'bom-ref': string
  readonly licenses?: readonly License[]
  readonly hashes?: readonly { readonly alg: 'SHA-256'; readonly content: string }[]
  readonly description?: string
}

export type License =
  | { readonly license: { readonly id: string } | { readonly name: string } }
  | { readonly expression: string }

export interface BillOfMaterials {
  readonly bomFormat: 'CycloneDX'
  readonly metadata: { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

export interface BillOptions {
  /** A checkout with node_modules. */
  readonly repository: string
  /** What `makeProductionTree` made. */
  readonly tree: string
  /** The root file system that the tree runs on, for what Debian and Node.js bring. */
  readonly root?: string | undefined
}

/**
 * A CycloneDX document of the image: what lies in the tree, by what pnpm knows of the lockfile; the native library
 * of ONNX Runtime, which no package manager declares; and with `root` Node.js and Debian's packages.
 */
export function billOfMaterials(options: BillOptions): BillOfMaterials {
  const declared = declaredByLockfile(options.repository)
  const image = { ...declared.metadata.component, type: 'container' }
  const known = new Map(declared.components.map((component) => [component['bom-ref'], component]))
  const packages = packagesIn(options.tree).map((found) =>
    withLicense(known.get(found.purl) ?? asComponent(found), found),
  )
  const components = [
    ...packages,
    nativeRuntime(options.tree),
    ...(options.root === undefined ? [] : [nodeRuntime(options.root), ...debianPackages(options.root)]),
  ]
  const there = new Set([image['bom-ref'], ...components.map((component) => component['bom-ref'])])
  return {
    ...declared,
    metadata: { ...declared.metadata, component: image },
    components: components.toSorted((a, b) => (a.purl < b.purl ? -1 : 1)),
    // What the image leaves out, other platforms' packages for one, nothing in it depends on.
    dependencies: declared.dependencies
      .filter(({ ref }) => there.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => there.has(other)) })),
  }
}

function declaredByLockfile(repository: string): BillOfMaterials {
  const what = ['--filter', './services/*', '--filter', '@plateau/cli']
  const format = ['--sbom-format', 'cyclonedx', '--sbom-spec-version', '1.6', '--sbom-type', 'application']
  const pnpm = join(repository, 'node_modules/.bin/pnpm')
  const result = spawnSync(pnpm, ['sbom', '--prod', ...format, ...what], {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (result.status !== 0) throw new Error(`pnpm sbom failed: ${result.stderr}${result.error ?? ''}`)
  return JSON.parse(result.stdout) as BillOfMaterials
}

interface FoundPackage {
  readonly name: string
  readonly version: string
  readonly license?: string
  /** How package.json said it until 2014; some still do. */
  readonly licenses?: readonly { readonly type: string }[]
  readonly purl: string
}

/** Every package.json of the tree that names a package, ours included, once. */
function packagesIn(tree: string): FoundPackage[] {
  const installed = ['*/node_modules/*', '*/node_modules/@*/*'].flatMap((pattern) =>
    globSync(`${pattern}/package.json`, { cwd: join(tree, 'node_modules/.pnpm') }).map((file) =>
      join(tree, 'node_modules/.pnpm', file),
    ),
  )
  const ours = globSync('{libs,services,tools}/*/package.json', { cwd: tree }).map((file) => join(tree, file))
  const found = [...installed, ...ours].map((file) => {
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Omit<FoundPackage, 'purl'>
    return { ...manifest, purl: npmPurl(manifest.name, manifest.version) }
  })
  return [...new Map(found.map((one) => [one.purl, one])).values()]
}

function npmPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

/** A package that pnpm does not know on this machine: of the image's platform, when that is another. */
function asComponent({ name, version, purl }: FoundPackage): Component {
  return { type: 'library', name, version, purl, 'bom-ref': purl }
}

function withLicense(component: Component, { name, license, licenses }: FoundPackage): Component {
  if (component.licenses !== undefined) return component
  const id = name.startsWith('@plateau/') ? 'Apache-2.0' : (license ?? licenses?.[0]?.type)
  return id === undefined ? component : { ...component, licenses: [{ license: { id } }] }
}

function nativeRuntime(tree: string): Component {
  const [library] = globSync(
    'onnxruntime-node@*/node_modules/onnxruntime-node/bin/napi-v*/linux/*/libonnxruntime.so*',
    {
      cwd: join(tree, 'node_modules/.pnpm'),
    },
  )
  if (library === undefined) throw new Error(`there is no libonnxruntime.so in ${tree}`)
  const version = /^onnxruntime-node@([^_/]+)/.exec(library)![1]!
  return {
    type: 'library',
    name: 'onnxruntime',
    version,
    description: library.split('/').slice(-1)[0]!,
    purl: `pkg:github/microsoft/onnxruntime@v${version}`,
    'bom-ref': `pkg:github/microsoft/onnxruntime@v${version}`,
    licenses: [{ license: { id: 'MIT' } }],
    hashes: [sha256(join(tree, 'node_modules/.pnpm', library))],
  }
}

/** The image's Node.js is that of the stage that builds it, which runs this. */
function nodeRuntime(root: string): Component {
  const binary = join(root, 'usr/local/bin/node')
  if (!existsSync(binary)) throw new Error(`there is no ${binary}: --root names the root file system of the image`)
  const { node } = process.versions
  return {
    type: 'platform',
    name: 'node',
    version: node,
    purl: `pkg:generic/node@${node}`,
    'bom-ref': `pkg:generic/node@${node}`,
    licenses: [{ license: { id: 'MIT' } }],
    hashes: [sha256(binary)],
  }
}

function sha256(file: string): { readonly alg: 'SHA-256'; readonly content: string } {
  return { alg: 'SHA-256', content: createHash('sha256').update(readFileSync(file)).digest('hex') }
}

/** `MIT`, `(MIT OR CC0-1.0)`, or `none stated`. */
export function licenseOf(component: Component): string {
  const names = (component.licenses ?? []).map((one) => {
    if ('expression' in one) return one.expression
    return 'id' in one.license ? one.license.id : one.license.name
  })
  return names.length === 0 ? 'none stated' : names.join(', ')
}
