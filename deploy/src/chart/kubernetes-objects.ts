/** What the policies look at of Kubernetes objects; the schemas say that the rest is as it has to be. */
import { parseAllDocuments } from 'yaml'

export type Labels = Readonly<Record<string, string>>

export interface KubernetesObject<Spec = unknown> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Labels
    readonly annotations?: Labels
  }
  readonly spec: Spec
  readonly data?: Readonly<Record<string, string>>
}

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number }
  readonly periodSeconds?: number
  readonly failureThreshold?: number
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[]
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly lifecycle?: { readonly preStop?: { readonly sleep?: { readonly seconds: number } } }
  readonly resources?: { readonly requests?: Labels; readonly limits?: Labels }
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean
    readonly readOnlyRootFilesystem?: boolean
    readonly privileged?: boolean
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }
  }
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
}

export interface Volume {
  readonly name: string
  readonly emptyDir?: { readonly sizeLimit?: string; readonly medium?: string }
  readonly secret?: { readonly secretName: string; readonly items?: readonly { key: string; path: string }[] }
  readonly persistentVolumeClaim?: { readonly claimName: string }
}

export interface PodSpec {
  readonly serviceAccountName?: string
  readonly automountServiceAccountToken?: boolean
  readonly enableServiceLinks?: boolean
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean
    readonly runAsUser?: number
    readonly seccompProfile?: { readonly type: string }
  }
  readonly terminationGracePeriodSeconds?: number
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes?: readonly Volume[]
}

export interface WorkloadSpec {
  readonly replicas?: number
  readonly selector?: { readonly matchLabels: Labels }
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
}

export type Workload = KubernetesObject<WorkloadSpec>

export interface ServiceSpec {
  readonly clusterIP?: string
  readonly selector: Labels
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string | number }[]
}

/** What kubectl and helm read: there `off` is false and 0440 is octal. */
export const KUBERNETES_YAML = '1.1'

/** The documents of a stream of YAML; throws where one does not parse. */
export function parseObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text, { version: KUBERNETES_YAML })
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0]
      return document.toJS() as KubernetesObject | null
    })
    .filter((object) => object !== null)
}

export function ofKind<Spec>(objects: readonly KubernetesObject[], kind: string): KubernetesObject<Spec>[] {
  return objects.filter((object) => object.kind === kind) as KubernetesObject<Spec>[]
}

/** Whatever makes pods. */
export function workloads(objects: readonly KubernetesObject[]): Workload[] {
  return ['Deployment', 'StatefulSet', 'DaemonSet', 'Job'].flatMap((kind) => ofKind<WorkloadSpec>(objects, kind))
}

export function containersOf({ spec }: Workload): Container[] {
  const pod = spec.template.spec
  return [...(pod.initContainers ?? []), ...pod.containers]
}

export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}

export function nameOf({ kind, metadata }: KubernetesObject): string {
  return `${kind} ${metadata.name}`
}
