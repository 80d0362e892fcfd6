/** What the objects of a release have to keep with each other. */
import { topics } from '@plateau/contracts'
import {
  containersOf,
  nameOf,
  ofKind,
  selects,
  workloads,
  type KubernetesObject,
  type Labels,
  type ServiceSpec,
  type Workload,
} from './kubernetes-objects.js'
import type { Policy } from './pod-policies.js'

const podLabels = ({ spec }: Workload): Labels => spec.template.metadata.labels
const long = (objects: readonly KubernetesObject[]): Workload[] =>
  workloads(objects).filter(({ kind }) => kind !== 'Job')

/** A workload owns its pods and nobody else's. */
export const selectors: Policy = (objects) =>
  long(objects).flatMap((workload) => {
    const selector = workload.spec.selector?.matchLabels ?? {}
    const others = workloads(objects).filter((other) => other !== workload && selects(selector, podLabels(other)))
    return [
      ...(Object.keys(selector).length > 0 && selects(selector, podLabels(workload))
        ? []
        : [`${nameOf(workload)}: its selector does not match its own pods`]),
      ...others.map((other) => `${nameOf(workload)}: selects the pods of ${nameOf(other)}, too`),
    ]
  })

/** Every Service has pods, and all of them have the port. */
export const servicePorts: Policy = (objects) =>
  ofKind<ServiceSpec>(objects, 'Service').flatMap((service) => {
    const pods = workloads(objects).filter((workload) => selects(service.spec.selector, podLabels(workload)))
    if (pods.length === 0) return [`${nameOf(service)}: selects no pods`]
    return pods.flatMap((workload) =>
      service.spec.ports
        .filter(({ targetPort }) => !hasPort(workload, targetPort))
        .map(({ targetPort }) => `${nameOf(service)}: ${nameOf(workload)} has no port ${targetPort}`),
    )
  })

interface NetworkPolicySpec {
  readonly podSelector: { readonly matchLabels?: Labels }
  readonly ingress?: readonly { readonly ports?: readonly { readonly port?: string | number }[] }[]
}

/** Every policy is for some pods, and opens ports that these have. */
export const networkPolicyPorts: Policy = (objects) =>
  ofKind<NetworkPolicySpec>(objects, 'NetworkPolicy').flatMap((policy) => {
    const pods = workloads(objects).filter((workload) =>
      selects(policy.spec.podSelector.matchLabels ?? {}, podLabels(workload)),
    )
    if (pods.length === 0) return [`${nameOf(policy)}: is for no pods`]
    const opened = (policy.spec.ingress ?? []).flatMap(({ ports }) => ports?.map(({ port }) => port) ?? [undefined])
    return opened
      .filter((port) => port === undefined || !pods.every((workload) => hasPort(workload, port)))
      .map((port) => `${nameOf(policy)}: lets in to ${port ?? 'every port'}, which its pods do not have`)
  })

/** Port numbers and the names of objects are what a cluster takes; JSON schemas do not know. */
export const names: Policy = (objects) =>
  objects.flatMap((object) => {
    const ofDns = object.kind === 'KafkaTopic' || object.kind === 'KafkaUser' ? 253 : 63
    const { name } = object.metadata
    return name.length <= ofDns && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) ? [] : [`${nameOf(object)}: no name`]
  })

/** The same object twice would be one of them. */
export const onlyOnce: Policy = (objects) => {
  const seen = new Set<string>()
  return objects.flatMap((object) => {
    const key = `${nameOf(object)} in ${object.metadata.namespace}`
    const again = seen.has(key)
    seen.add(key)
    return again ? [`${key}: is there twice`] : []
  })
}

/** Accounts that pods name are the chart's, and mount no token either. */
export const accounts: Policy = (objects) => {
  const accountsOf = objects.filter(({ kind }) => kind === 'ServiceAccount') as (KubernetesObject & {
    readonly automountServiceAccountToken?: boolean
  })[]
  const known = new Set(accountsOf.map(({ metadata }) => metadata.name))
  return [
    ...workloads(objects)
      .filter(({ spec }) => !known.has(spec.template.spec.serviceAccountName ?? ''))
      .map(
        (workload) => `${nameOf(workload)}: its account ${workload.spec.template.spec.serviceAccountName} is missing`,
      ),
    ...accountsOf
      .filter(({ automountServiceAccountToken }) => automountServiceAccountToken !== false)
      .map((account) => `${nameOf(account)}: mounts tokens`),
  ]
}

/** Exactly one budget a workload, and none that stands in the way of every drain. */
export const disruptionBudgets: Policy = (objects) => {
  interface Budget {
    readonly maxUnavailable?: number
    readonly minAvailable?: number
    readonly unhealthyPodEvictionPolicy?: string
    readonly selector: { readonly matchLabels: Labels }
  }
  const budgets = ofKind<Budget>(objects, 'PodDisruptionBudget')
  return long(objects).flatMap((workload) => {
    const own = budgets.filter(({ spec }) => selects(spec.selector.matchLabels, podLabels(workload)))
    if (own.length !== 1) return [`${nameOf(workload)}: has ${own.length} disruption budgets`]
    const { maxUnavailable = 0, minAvailable, unhealthyPodEvictionPolicy } = own[0]!.spec
    const mayGo = minAvailable === undefined ? maxUnavailable : (workload.spec.replicas ?? 1) - minAvailable
    return [
      ...(mayGo >= 1 ? [] : [`${nameOf(workload)}: its disruption budget lets no pod go, so no node can be drained`]),
      ...(unhealthyPodEvictionPolicy === 'AlwaysAllow'
        ? []
        : [`${nameOf(workload)}: a pod that is not ready cannot be evicted`]),
    ]
  })
}

/** Scorers beyond the partitions of their topic would be idle; a scaled workload leaves its replicas to the scaler. */
export const scaling: Policy = (objects) => {
  interface Scaled {
    readonly scaleTargetRef: { readonly name: string }
    readonly maxReplicaCount?: number
    readonly minReplicas?: number
    readonly maxReplicas?: number
    readonly triggers?: readonly { readonly type: string; readonly metadata: Labels }[]
  }
  const partitions = topics.tokenDistributions.partitions
  const scalers = [...ofKind<Scaled>(objects, 'ScaledObject'), ...ofKind<Scaled>(objects, 'HorizontalPodAutoscaler')]
  return scalers.flatMap((scaler) => {
    const target = long(objects).find(({ metadata }) => metadata.name === scaler.spec.scaleTargetRef.name)
    const { maxReplicaCount = 0, minReplicas = 0, maxReplicas = 0, triggers = [] } = scaler.spec
    const problems = [
      [target === undefined, 'scales nothing that is there'],
      [target?.spec.replicas !== undefined, 'scales what has fixed replicas: every upgrade would reset them'],
      [maxReplicaCount > partitions, `scales to ${maxReplicaCount}, but the topic has ${partitions} partitions`],
      [minReplicas > maxReplicas, 'has more replicas at least than at most'],
      [
        triggers.some(({ type, metadata }) => type === 'kafka' && metadata['topic'] !== topics.tokenDistributions.name),
        'looks at a topic that the scorer does not read',
      ],
    ] as const
    return problems.filter(([isSo]) => isSo).map(([, problem]) => `${nameOf(scaler)}: ${problem}`)
  })
}

/** Hooks run again at every upgrade: what an earlier one left must not be in the way. */
export const hooks: Policy = (objects) =>
  objects
    .filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] !== undefined)
    .filter(
      ({ metadata }) => metadata.annotations?.['helm.sh/hook-delete-policy']?.includes('before-hook-creation') !== true,
    )
    .map((hook) => `${nameOf(hook)}: a second run would find the first one's object in its way`)

/** Jobs that are no hooks could not be applied again: their pods' template cannot be changed. */
export const jobs: Policy = (objects) =>
  ofKind(objects, 'Job')
    .filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined)
    .map((job) => `${nameOf(job)}: is no hook, and a job cannot be changed`)

/** Without it drafts and the log would go with the release. */
export const kept: Policy = (objects) =>
  objects
    .filter(({ kind }) => ['PersistentVolumeClaim', 'Kafka', 'KafkaNodePool', 'KafkaTopic'].includes(kind))
    .filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] !== 'keep')
    .map((object) => `${nameOf(object)}: would be removed with the release`)

/** Secrets come from the user: a chart that made them would show them to whoever may read the release. */
export const noSecrets: Policy = (objects) =>
  ofKind(objects, 'Secret').map((secret) => `${nameOf(secret)}: is made by the chart`)

/** Every secret and claim that pods, KEDA and cert-manager name, as "Secret plateau-s3: access-key-id". */
export function neededFromOutside(objects: readonly KubernetesObject[]): string[] {
  const claims = new Set(ofKind(objects, 'PersistentVolumeClaim').map(({ metadata }) => metadata.name))
  const made = new Set(
    ofKind<{ readonly secretName: string }>(objects, 'Certificate').map(({ spec }) => spec.secretName),
  )
  // Strimzi makes one for each user, and one with the cluster's authority.
  for (const { metadata } of ofKind(objects, 'KafkaUser')) made.add(metadata.name)
  for (const { metadata } of ofKind(objects, 'Kafka')) made.add(`${metadata.name}-cluster-ca-cert`)
  const needed = workloads(objects).flatMap(({ spec }) =>
    (spec.template.spec.volumes ?? []).flatMap(({ secret, persistentVolumeClaim: claim }) => [
      ...(secret === undefined || made.has(secret.secretName)
        ? []
        : (secret.items ?? [{ key: '*' }]).map(({ key }) => `Secret ${secret.secretName}: ${key}`)),
      ...(claim === undefined || claims.has(claim.claimName) ? [] : [`PersistentVolumeClaim ${claim.claimName}`]),
    ]),
  )
  return [...new Set(needed)].toSorted()
}

function hasPort(workload: Workload, port: string | number): boolean {
  return containersOf(workload).some(({ ports = [] }) =>
    ports.some(({ name, containerPort }) => port === name || port === containerPort),
  )
}
