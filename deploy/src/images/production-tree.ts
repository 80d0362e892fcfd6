import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'

export interface ProductionTreeOptions {
  /** A compiled checkout whose node_modules hold pnpm. */
  readonly repository: string
  /** Created; must not exist. */
  readonly out: string
  /** As Docker names it. */
  readonly arch: 'amd64' | 'arm64'
}

/** What npm and onnxruntime-node call Docker's architectures. */
const NPM_ARCH = { amd64: 'x64', arm64: 'arm64' } as const

/** What runs in a container: every service, and the operator's command line. */
const ROOTS = ['services/*', 'tools/cli']

/** Files that are read at run time and are not code; the tree's test finds one that is missing here. */
const ASSETS = [
  'libs/contracts/plateau.binpb',
  'libs/rpc/grpc.binpb',
  'services/console/assets',
  'proto',
  'models/demo-target',
]

/** Of our own code: tests, what only they use, and what compilers and debuggers read. */
const OWN_LEFT_OUT = /(\.test\.js|\.d\.ts|\.map|\.tsbuildinfo)$|(^|\/)(testing[^/]*|contract|contract-suite\.js)$/

/** Of other people's packages: types, sources, source maps, tests and documents. Licences and notices stay. */
const THEIRS_LEFT_OUT = /\.([cm]?ts|map|md|markdown|flow|html|gypi|yml|h)$|\.test\.[cm]?js$/
const THEIR_FOLDERS_LEFT_OUT = ['test', 'tests', 'bench', 'benchmarks', 'example', 'examples', 'docs']
const LEGAL = /^(licen[cs]e|notice|copying|copyright)/i

/**
 * The folder that the image holds: compiled code without tests, production dependencies by the lockfile, and of native
 * code only what this platform loads. The layout is the repository's, so `services/NAME/dist/main.js` runs in both.
 */
export function makeProductionTree(options: ProductionTreeOptions): void {
  const { repository, out } = options
  if (existsSync(out)) throw new Error(`${out} exists already; name a folder that does not`)
  const packages = packagesAtRunTime(repository)
  for (const directory of packages) copyPackage(repository, directory, out)
  for (const asset of ASSETS) cpSync(join(repository, asset), join(out, asset), { recursive: true })
  installDependencies(options)
  prune(options)
  linkCommandLine(out)
}

/** The folders of the packages that the roots reach by `dependencies`, relative to the repository. */
function packagesAtRunTime(repository: string): string[] {
  const folders = globSync('{libs,services,tools}/*/package.json', { cwd: repository }).map((file) => dirname(file))
  const manifests = new Map(folders.map((folder) => [folder, readManifest(join(repository, folder))]))
  const folderOf = new Map([...manifests].map(([folder, manifest]) => [manifest.name, folder]))
  const reached = new Set(globSync(ROOTS, { cwd: repository }).filter((folder) => manifests.has(folder)))
  for (const folder of reached) {
    for (const name of Object.keys(manifests.get(folder)?.dependencies ?? {})) {
      const dependency = folderOf.get(name)
      // A set that grows while it is walked is walked to its end.
      if (dependency !== undefined) reached.add(dependency)
    }
  }
  return [...reached].toSorted()
}

interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
}

function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
}

function copyPackage(repository: string, directory: string, out: string): void {
  const from = join(repository, directory)
  const dist = join(from, 'dist')
  if (!existsSync(dist)) throw new Error(`${directory} is not compiled: run \`npm run build\` first`)
  mkdirSync(join(out, directory), { recursive: true })
  cpSync(join(from, 'package.json'), join(out, directory, 'package.json'))
  cpSync(dist, join(out, directory, 'dist'), {
    recursive: true,
    filter: (file) => !OWN_LEFT_OUT.test(relative(from, file)),
  })
}

/** Into the tree itself, by the lockfile as it stands, and for its platform, whatever this machine's is. */
function installDependencies({ repository, out, arch }: ProductionTreeOptions): void {
  for (const file of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'patches']) {
    cpSync(join(repository, file), join(out, file), { recursive: true })
  }
  const args = ['install', '--prod', '--frozen-lockfile', '--prefer-offline']
  const platform = ['--os', 'linux', '--cpu', NPM_ARCH[arch], '--libc', 'glibc']
  const pnpm = join(repository, 'node_modules/.bin/pnpm')
  const result = spawnSync(pnpm, [...args, ...platform], { cwd: out, encoding: 'utf8' })
  if (result.status !== 0) {
    throw new Error(`pnpm ${args.join(' ')} in ${out} failed:\n${result.stdout}${result.stderr}${result.error ?? ''}`)
  }
}

function prune({ out, arch }: ProductionTreeOptions): void {
  const store = join(out, 'node_modules/.pnpm')
  // The Node of the root's own tools; the image has its own.
  const ownNode = globSync([join(out, 'node_modules/node-linux-*'), join(store, 'node-linux-*')])
  // pnpm's notes, with this machine's paths; and what only an install reads.
  const notes = [
    'node_modules/.modules.yaml',
    'node_modules/.pnpm-workspace-state-v1.json',
    'node_modules/.pnpm/lock.yaml',
  ]
  const onlyForInstalls = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'patches']
  const commands = globSync([join(out, '**/node_modules/.bin'), join(store, '*/node_modules/.bin')])
  const folders = ['*', '@*/*'].flatMap((name) =>
    THEIR_FOLDERS_LEFT_OUT.flatMap((folder) => globSync(join(store, '*/node_modules', name, folder))),
  )
  const gone = [...ownNode, ...commands, ...folders, ...[...notes, ...onlyForInstalls].map((file) => join(out, file))]
  for (const path of gone) rmSync(path, { recursive: true, force: true })
  keepOnePlatform(store, `linux/${NPM_ARCH[arch]}`)
  removeFiles(store, (file) => THEIRS_LEFT_OUT.test(file) && !LEGAL.test(basename(file)))
}

/** onnxruntime-node brings its library for six platforms; providers for GPUs are not among the files kept. */
function keepOnePlatform(store: string, platform: string): void {
  const binaries = globSync('onnxruntime-node@*/node_modules/onnxruntime-node/bin/napi-v*', { cwd: store })
  if (binaries.length === 0) throw new Error('onnxruntime-node has no bin/napi-v* any more: see what it has instead')
  for (const directory of binaries) {
    const kept = join(store, directory, platform)
    if (!existsSync(kept)) throw new Error(`onnxruntime-node has no library for ${platform} in ${directory}`)
    removeFiles(join(store, directory), (file) => dirname(file) !== kept || /providers_(?!shared)/.test(file))
  }
}

/** Removes files, and the folders that this leaves empty. */
function removeFiles(directory: string, isUnwanted: (file: string) => boolean): void {
  for (const entry of readdirSync(directory)) {
    const path = join(directory, entry)
    const found = lstatSync(path)
    if (found.isDirectory()) removeFiles(path, isUnwanted)
    else if (found.isFile() && isUnwanted(path)) rmSync(path)
  }
  if (readdirSync(directory).length === 0) rmSync(directory, { recursive: true })
}

function linkCommandLine(out: string): void {
  chmodSync(join(out, 'tools/cli/dist/main.js'), 0o755)
  mkdirSync(join(out, 'bin'))
  symlinkSync('../tools/cli/dist/main.js', join(out, 'bin/plateau'))
}
