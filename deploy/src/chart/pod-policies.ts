/** What every pod has to keep. Each policy answers with a sentence for every violation. */
import {
  containersOf,
  nameOf,
  workloads,
  type Container,
  type KubernetesObject,
  type Workload,
} from './kubernetes-objects.js'

export type Policy = (objects: readonly KubernetesObject[]) => string[]

const everyWorkload =
  (check: (workload: Workload) => readonly string[]): Policy =>
  (objects) =>
    workloads(objects).flatMap((workload) => check(workload).map((problem) => `${nameOf(workload)}: ${problem}`))

const everyContainer = (check: (container: Container, workload: Workload) => readonly string[]): Policy =>
  everyWorkload((workload) =>
    containersOf(workload).flatMap((container) =>
      check(container, workload).map((problem) => `${container.name} ${problem}`),
    ),
  )

/** [holds, else this]: the sentences of what does not hold. */
function unless(...rules: readonly (readonly [boolean, string])[]): string[] {
  return rules.filter(([holds]) => !holds).map(([, problem]) => problem)
}

export const images: Policy = everyContainer(({ image }) => {
  const [name, digest] = image.split('@')
  const tag = /:([^/:]+)$/.exec(name!)?.[1]
  return unless(
    [digest !== undefined || tag !== undefined, 'has an image without a tag'],
    [tag !== 'latest', 'runs latest'],
  )
})

export const resources: Policy = everyContainer(({ resources: given }) =>
  unless(
    [given?.requests?.['cpu'] !== undefined, 'requests no cpu'],
    [given?.requests?.['memory'] !== undefined, 'requests no memory'],
    [given?.limits?.['memory'] !== undefined, 'has no memory limit'],
    [given?.limits?.['cpu'] === undefined, 'has a cpu limit, which throttles it in the middle of a response'],
  ),
)

/** Node.js collects in time only when its heap is told what there is, and the rest of the process needs room too. */
export const heap: Policy = everyContainer(({ env, resources: given }) => {
  const heapMiB = Number(/--max-old-space-size=(\d+)/.exec(settingOf(env, 'NODE_OPTIONS') ?? '')?.[1] ?? 0)
  const limitMiB = bytesOf(given?.limits?.['memory'] ?? '0') / 2 ** 20
  return unless([heapMiB <= 0.75 * limitMiB, `may grow its heap to ${heapMiB} MiB of ${limitMiB} MiB of memory`])
})

export const probes: Policy = (objects) =>
  workloads(objects)
    .filter(({ kind }) => kind !== 'Job')
    .flatMap((workload) =>
      workload.spec.template.spec.containers.flatMap((container) =>
        (['startupProbe', 'readinessProbe', 'livenessProbe'] as const).flatMap((name) => {
          const port = container[name]?.httpGet?.port
          const ports = container.ports ?? []
          return unless(
            [port !== undefined, `${nameOf(workload)}: ${container.name} has no ${name}`],
            [
              port === undefined ||
                ports.some(({ name: known, containerPort }) => port === known || port === containerPort),
              `${nameOf(workload)}: ${container.name}'s ${name} asks a port that it does not have (${port})`,
            ],
          )
        }),
      ),
    )

export const ports: Policy = everyContainer(({ ports: given = [] }) =>
  given.flatMap(({ name, containerPort }) =>
    unless(
      [Number.isInteger(containerPort) && containerPort >= 1 && containerPort <= 65_535, `has port ${containerPort}`],
      [
        name !== undefined && /^[a-z0-9-]{1,15}$/.test(name),
        `has a port whose name is not 1 to 15 characters: ${name}`,
      ],
    ),
  ),
)

/** Pod Security Standard "restricted", which a namespace can enforce, and more. */
export const restricted: Policy = (objects) => [
  ...everyWorkload(({ spec }) => {
    const pod = spec.template.spec
    return unless(
      [pod.securityContext?.runAsNonRoot === true, 'may run as root'],
      [(pod.securityContext?.runAsUser ?? 0) > 0, 'runs as user 0'],
      [pod.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'has no seccomp profile'],
      [!pod.hostNetwork && !pod.hostPID && !pod.hostIPC, 'uses namespaces of the host'],
      [
        (pod.volumes ?? []).every(
          (volume) => 'emptyDir' in volume || 'secret' in volume || 'persistentVolumeClaim' in volume,
        ),
        'mounts what is no emptyDir, secret or claim',
      ],
    )
  })(objects),
  ...everyContainer(({ securityContext: given }) =>
    unless(
      [given?.allowPrivilegeEscalation === false, 'may gain privileges'],
      [given?.privileged !== true, 'is privileged'],
      [given?.readOnlyRootFilesystem === true, 'may write to its root file system'],
      [given?.capabilities?.drop?.includes('ALL') === true, 'keeps capabilities'],
      [(given?.capabilities?.add ?? []).length === 0, 'adds capabilities'],
    ),
  )(objects),
]

export const tokens: Policy = everyWorkload(({ spec }) => {
  const pod = spec.template.spec
  return unless(
    [pod.automountServiceAccountToken === false, 'mounts a token of the Kubernetes API'],
    [pod.serviceAccountName !== undefined && pod.serviceAccountName !== 'default', 'has no account of its own'],
    [
      pod.enableServiceLinks === false,
      'gets variables for every Service, which the services refuse as unknown settings',
    ],
  )
})

export const scratchSpace: Policy = everyWorkload(({ spec }) =>
  (spec.template.spec.volumes ?? [])
    .filter(({ emptyDir }) => emptyDir !== undefined && emptyDir.sizeLimit === undefined)
    .map(({ name }) => `the folder ${name} has no size limit`),
)

/** Every mount has its volume, every volume is used, and a setting's path is under a mount. */
export const mounts: Policy = everyWorkload((workload) => {
  const volumes = new Set((workload.spec.template.spec.volumes ?? []).map(({ name }) => name))
  const mounted = new Set(
    containersOf(workload).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)),
  )
  return [
    ...[...mounted].filter((name) => !volumes.has(name)).map((name) => `mounts ${name}, which is no volume`),
    ...[...volumes].filter((name) => !mounted.has(name)).map((name) => `has the volume ${name}, which nobody mounts`),
  ]
})

/** A pod has to be given the time that preStop and draining take. */
export const gracePeriod: Policy = (objects) =>
  workloads(objects)
    .filter(({ kind }) => kind !== 'Job')
    .flatMap((workload) => {
      const { containers, terminationGracePeriodSeconds: graceSeconds = 30 } = workload.spec.template.spec
      return containers.flatMap(({ name, env, lifecycle }) => {
        const drainSeconds = Number(settingOf(env, 'PLATEAU_DRAIN_SECONDS') ?? Number.NaN)
        const stopSeconds = lifecycle?.preStop?.sleep?.seconds ?? 0
        return unless([
          graceSeconds > stopSeconds + drainSeconds,
          `${nameOf(workload)}: ${name} sleeps ${stopSeconds} s and drains ${drainSeconds} s, but is killed after ${graceSeconds} s`,
        ])
      })
    })

export function settingOf(env: Container['env'], name: string): string | undefined {
  return env?.find((variable) => variable.name === name)?.value
}

function bytesOf(quantity: string): number {
  const [, number, unit] = /^([\d.]+)(Ki|Mi|Gi|Ti|k|M|G|T|)$/.exec(quantity) ?? []
  const units: Readonly<Record<string, number>> = {
    '': 1,
    k: 1e3,
    M: 1e6,
    G: 1e9,
    T: 1e12,
    Ki: 2 ** 10,
    Mi: 2 ** 20,
    Gi: 2 ** 30,
    Ti: 2 ** 40,
  }
  return Number(number) * (units[unit ?? ''] ?? Number.NaN)
}
