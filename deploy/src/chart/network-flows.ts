import { nameOf, ofKind, type KubernetesObject, type Labels } from './kubernetes-objects.js'

interface Peer {
  readonly podSelector?: { readonly matchLabels?: Labels }
  readonly namespaceSelector?: { readonly matchLabels?: Labels }
  readonly ipBlock?: { readonly cidr: string }
}

interface Rule {
  readonly from?: readonly Peer[]
  readonly to?: readonly Peer[]
  readonly ports?: readonly { readonly protocol?: string; readonly port?: string | number }[]
}

interface PolicySpec {
  readonly podSelector: { readonly matchLabels?: Labels }
  readonly policyTypes?: readonly string[]
  readonly ingress?: readonly Rule[]
  readonly egress?: readonly Rule[]
}

const COMPONENT = 'app.kubernetes.io/component'

/**
 * Every flow that the policies let through, as "serving -> component=target-model TCP grpc" for what goes out and
 * "target-model <- component=serving TCP grpc" for what comes in, sorted. A policy that is no default deny for its pods is
 * an error: without one everything is let through.
 */
export function networkFlows(objects: readonly KubernetesObject[]): string[] {
  const policies = ofKind<PolicySpec>(objects, 'NetworkPolicy')
  const flows = policies.flatMap((policy) => {
    const both = ['Ingress', 'Egress'].every((type) => policy.spec.policyTypes?.includes(type))
    if (!both) throw new Error(`${nameOf(policy)} leaves a direction open`)
    const component = policy.spec.podSelector.matchLabels?.[COMPONENT] ?? '(all)'
    const { ingress = [], egress = [] } = policy.spec
    return [
      ...ingress.flatMap((rule) => sides(rule.from, rule).map((side) => `${component} <- ${side}`)),
      ...egress.flatMap((rule) => sides(rule.to, rule).map((side) => `${component} -> ${side}`)),
    ]
  })
  return [...new Set(flows)].toSorted()
}

/** Whether a policy without rules is there that selects every pod of the release. */
export function deniesByDefault(objects: readonly KubernetesObject[]): boolean {
  return ofKind<PolicySpec>(objects, 'NetworkPolicy').some(
    ({ spec }) =>
      spec.ingress === undefined &&
      spec.egress === undefined &&
      spec.podSelector.matchLabels?.[COMPONENT] === undefined,
  )
}

function sides(peers: readonly Peer[] | undefined, { ports }: Rule): string[] {
  const who = peers === undefined || peers.length === 0 ? ['anybody'] : peers.map(peerText)
  const where = ports === undefined ? ['every port'] : ports.map(({ protocol = 'TCP', port }) => `${protocol} ${port}`)
  return who.flatMap((peer) => where.map((port) => `${peer} ${port}`))
}

function peerText({ podSelector, namespaceSelector, ipBlock }: Peer): string {
  if (ipBlock !== undefined) return ipBlock.cidr
  const pods = podSelector === undefined ? '' : labelText(podSelector.matchLabels)
  const name = namespaceSelector?.matchLabels?.['kubernetes.io/metadata.name']
  const namespace =
    namespaceSelector === undefined ? '' : `namespace ${name ?? labelText(namespaceSelector.matchLabels)}`
  return [namespace, pods].filter((part) => part !== '').join(' ')
}

/** Of our own pods only what tells them apart. */
function labelText(labels: Labels = {}): string {
  if (labels[COMPONENT] !== undefined) return `component=${labels[COMPONENT]}`
  const entries = Object.entries(labels)
  return entries.length === 0 ? 'any pod' : entries.map(([key, value]) => `${key.split('/').at(-1)}=${value}`).join(',')
}
