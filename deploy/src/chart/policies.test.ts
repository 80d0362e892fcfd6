import { describe, expect, test } from 'vitest'
import { hasProgram } from '../programs.js'
import { render } from './helm.js'
import type { KubernetesObject } from './kubernetes-objects.js'
import { policies } from './policies.js'
import { schemaViolations } from './schemas.js'

/** A path into a rendered object and what to put there; undefined takes away what is there. */
type Damage = readonly [policy: keyof typeof policies, object: string, path: string, value: unknown, sentence: RegExp]

const container = 'spec.template.spec.containers.0'
const pod = 'spec.template.spec'

/** At least one for each policy: none of them is a check that cannot fail. */
const damages: readonly Damage[] = [
  [
    'images have a tag or digest, not latest',
    'Deployment plateau-serving',
    `${container}.image`,
    'plateau',
    /without a tag/,
  ],
  [
    'images have a tag or digest, not latest',
    'Job plateau-topics',
    `${container}.image`,
    'registry:5000/plateau:latest',
    /runs latest/,
  ],
  [
    'requests and a memory limit, no cpu limit',
    'Deployment plateau-trainer',
    `${container}.resources`,
    {},
    /requests no cpu/,
  ],
  [
    'requests and a memory limit, no cpu limit',
    'Deployment plateau-trainer',
    `${container}.resources.limits.cpu`,
    '2',
    /has a cpu limit/,
  ],
  [
    'requests and a memory limit, no cpu limit',
    'Deployment plateau-trainer',
    `${pod}.initContainers.0.resources.limits`,
    {},
    /own-signing-key has no memory limit/,
  ],
  [
    'the heap leaves a quarter of the memory',
    'Deployment plateau-console',
    `${container}.resources.limits.memory`,
    '400Mi',
    /320 MiB of 400 MiB/,
  ],
  [
    'three probes, on ports that are there',
    'Deployment plateau-serving',
    `${container}.startupProbe`,
    undefined,
    /no startupProbe/,
  ],
  [
    'three probes, on ports that are there',
    'Deployment plateau-serving',
    `${container}.livenessProbe.httpGet.port`,
    'health',
    /a port that it does not have/,
  ],
  [
    'ports are named and in range',
    'Deployment plateau-serving',
    `${container}.ports.0.containerPort`,
    99999,
    /has port 99999/,
  ],
  [
    'ports are named and in range',
    'Deployment plateau-serving',
    `${container}.ports.0.name`,
    'operations-of-serving',
    /1 to 15 characters/,
  ],
  [
    'Pod Security restricted, read-only root',
    'Deployment plateau-console',
    `${pod}.securityContext.runAsNonRoot`,
    undefined,
    /may run as root/,
  ],
  [
    'Pod Security restricted, read-only root',
    'Deployment plateau-console',
    `${pod}.securityContext.seccompProfile`,
    undefined,
    /no seccomp profile/,
  ],
  [
    'Pod Security restricted, read-only root',
    'Job plateau-topics',
    `${container}.securityContext.allowPrivilegeEscalation`,
    true,
    /may gain privileges/,
  ],
  [
    'Pod Security restricted, read-only root',
    'Job plateau-topics',
    `${container}.securityContext.readOnlyRootFilesystem`,
    false,
    /may write to its root/,
  ],
  [
    'Pod Security restricted, read-only root',
    'Deployment plateau-console',
    `${container}.securityContext.capabilities`,
    { drop: ['NET_RAW'] },
    /keeps capabilities/,
  ],
  [
    'Pod Security restricted, read-only root',
    'Deployment plateau-console',
    `${pod}.volumes.0`,
    { name: 'tmp', hostPath: { path: '/tmp' } },
    /no emptyDir, secret or claim/,
  ],
  [
    'no token of the Kubernetes API, no service links',
    'Deployment plateau-serving',
    `${pod}.automountServiceAccountToken`,
    undefined,
    /mounts a token/,
  ],
  [
    'no token of the Kubernetes API, no service links',
    'Deployment plateau-serving',
    `${pod}.enableServiceLinks`,
    undefined,
    /variables for every Service/,
  ],
  [
    'no token of the Kubernetes API, no service links',
    'Deployment plateau-serving',
    `${pod}.serviceAccountName`,
    undefined,
    /no account of its own/,
  ],
  ['scratch space is bounded', 'Deployment plateau-trainer', `${pod}.volumes.0.emptyDir`, {}, /tmp has no size limit/],
  [
    'mounts and volumes belong together',
    'Deployment plateau-trainer',
    `${container}.volumeMounts.0.name`,
    'temp',
    /mounts temp, which is no volume/,
  ],
  [
    'mounts and volumes belong together',
    'Job plateau-topics',
    `${container}.volumeMounts.0`,
    { name: 'state', mountPath: '/x' },
    /tmp, which nobody mounts/,
  ],
  [
    'grace covers preStop and draining',
    'Deployment plateau-serving',
    `${pod}.terminationGracePeriodSeconds`,
    130,
    /killed after 130 s/,
  ],
  [
    'selectors match their own pods only',
    'Deployment plateau-serving',
    'spec.selector.matchLabels',
    { app: 'serving' },
    /does not match its own pods/,
  ],
  [
    'selectors match their own pods only',
    'Deployment plateau-trainer',
    'spec.selector.matchLabels',
    { 'app.kubernetes.io/component': 'trainer' },
    /selects the pods of Deployment plateau-trainer-code/,
  ],
  ['Services find their ports', 'Service plateau-target-model', 'spec.ports.0.targetPort', 7071, /has no port 7071/],
  ['Services find their ports', 'Service plateau-serving', 'spec.selector', { app: 'serving' }, /selects no pods/],
  [
    'network policies open ports that are there',
    'NetworkPolicy plateau-target-model',
    'spec.ingress.0.ports.0.port',
    'metrics',
    /lets in to metrics/,
  ],
  [
    'network policies open ports that are there',
    'NetworkPolicy plateau-serving',
    'spec.podSelector',
    { matchLabels: { app: 'x' } },
    /is for no pods/,
  ],
  ['names are taken by a cluster', 'Service plateau-serving', 'metadata.name', 'Serving', /no name/],
  ['every object is there once', 'Service plateau-serving', 'metadata.name', 'plateau-target-model', /is there twice/],
  [
    'accounts are there and mount no token',
    'Deployment plateau-serving',
    `${pod}.serviceAccountName`,
    'serving',
    /account serving is missing/,
  ],
  [
    'accounts are there and mount no token',
    'ServiceAccount plateau-serving',
    'automountServiceAccountToken',
    true,
    /mounts tokens/,
  ],
  [
    'disruption budgets let nodes be drained',
    'PodDisruptionBudget plateau-console',
    'spec',
    { minAvailable: 1, selector: { matchLabels: { 'app.kubernetes.io/component': 'console' } } },
    /lets no pod go/,
  ],
  [
    'disruption budgets let nodes be drained',
    'PodDisruptionBudget plateau-trainer',
    'spec.selector.matchLabels',
    { app: 'x' },
    /has 0 disruption budgets/,
  ],
  [
    'scaling stays within partitions',
    'ScaledObject plateau-flatness-scorer',
    'spec.maxReplicaCount',
    8,
    /the topic has 4 partitions/,
  ],
  [
    'scaling stays within partitions',
    'ScaledObject plateau-flatness-scorer',
    'spec.triggers.0.metadata.topic',
    'other',
    /does not read/,
  ],
  [
    'scaling stays within partitions',
    'HorizontalPodAutoscaler plateau-serving',
    'spec.scaleTargetRef.name',
    'serving',
    /scales nothing/,
  ],
  ['scaling stays within partitions', 'Deployment plateau-serving', 'spec.replicas', 2, /fixed replicas/],
  [
    'hooks can run again',
    'Job plateau-topics',
    'metadata.annotations',
    { 'helm.sh/hook': 'pre-upgrade' },
    /in its way/,
  ],
  ['jobs are hooks', 'Job plateau-topics', 'metadata.annotations', {}, /cannot be changed/],
  ['what holds data is kept', 'Service plateau-serving', 'kind', 'PersistentVolumeClaim', /would be removed/],
  ['no secrets are made', 'Service plateau-serving', 'kind', 'Secret', /is made by the chart/],
]

describe.skipIf(!hasProgram('helm'))('a policy finds what it is for', () => {
  const rendered = hasProgram('helm') ? render({ examples: ['full'] }) : []

  test.each(damages)('%s: %s, %s', (policy, object, path, value, sentence) => {
    const objects = damaged(rendered, object, path, value)
    expect(policies[policy]!(rendered)).toEqual([])
    expect(policies[policy]!(objects).join('\n')).toMatch(sentence)
  })

  test('every policy is damaged here at least once', () => {
    expect(new Set(damages.map(([policy]) => policy))).toEqual(new Set(Object.keys(policies)))
  })

  test.each([
    ['Deployment plateau-serving', `${container}.env.0.valeu`, 'x'],
    ['Service plateau-serving', 'spec.ports.0.port', '8080'],
    ['NetworkPolicy plateau-serving', 'spec.policyTypes', 'Ingress'],
    ['ScaledObject plateau-flatness-scorer', 'spec.triggers.0.type', undefined],
    ['Certificate plateau-tls-serving', 'spec.uri', 'spiffe://x'],
    ['HTTPRoute plateau-serving', 'spec.rules.0.matches.0.path.type', 'Prefix'],
    ['ServiceMonitor plateau', 'spec.endpoints.0.intervall', '15s'],
  ])('a schema finds it: %s, %s', (object, path, value) => {
    const objects = damaged(rendered, object, path, value)
    expect(objects.flatMap(schemaViolations).join('\n')).toContain(object)
  })
})

/** A copy in which one value is another. */
function damaged(
  objects: readonly KubernetesObject[],
  object: string,
  path: string,
  value: unknown,
): KubernetesObject[] {
  const copies = structuredClone(objects) as KubernetesObject[]
  const found = copies.find(({ kind, metadata }) => `${kind} ${metadata.name}` === object)
  const keys = path.split('.')
  const parent = keys.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], found)
  const last = keys.at(-1)!
  if (value === undefined) delete (parent as Record<string, unknown>)[last]
  else (parent as Record<string, unknown>)[last] = value
  return copies
}
