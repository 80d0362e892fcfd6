import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { programPath } from '../programs.js'
import { parseObjects, type KubernetesObject } from './kubernetes-objects.js'
import { chartDirectory } from '../paths.js'

export interface RenderOptions {
  /** Files of the chart's `ci` folder, without `-values.yaml`; later ones count more. */
  readonly examples: readonly string[]
  readonly release?: string
  readonly namespace?: string
  /** `--set` arguments. */
  readonly set?: readonly string[]
}

export interface HelmAnswer {
  readonly ok: boolean
  readonly stdout: string
  /** Why not, when it did not work. */
  readonly stderr: string
}

/** Rendering asks no cluster; this is the one that it is for. */
const KUBERNETES = '1.34.0'

export function helm(args: readonly string[]): HelmAnswer {
  const { status, stdout, stderr, error } = spawnSync('helm', args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PATH: programPath },
  })
  if (error !== undefined) throw error
  return { ok: status === 0, stdout, stderr }
}

export function template(options: RenderOptions): HelmAnswer {
  const { examples, release = 'plateau', namespace = 'plateau', set = [] } = options
  const overrides = set.flatMap((value) => ['--set', value])
  const where = ['--namespace', namespace, '--kube-version', KUBERNETES]
  return helm(['template', release, chartDirectory, ...where, ...valuesArguments(examples), ...overrides])
}

export function valuesArguments(examples: readonly string[]): string[] {
  return examples.flatMap((name) => ['--values', join(chartDirectory, 'ci', `${name}-values.yaml`)])
}

/** What a release would consist of. Throws what helm says when it refuses. */
export function render(options: RenderOptions): KubernetesObject[] {
  const answer = template(options)
  if (!answer.ok) throw new Error(answer.stderr)
  return parseObjects(answer.stdout)
}
