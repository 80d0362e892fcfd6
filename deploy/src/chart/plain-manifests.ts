/** The chart's examples as files for kubectl: what deploy/kubernetes holds. */
import { stringify } from 'yaml'
import { render } from './helm.js'
import { KUBERNETES_YAML, type KubernetesObject } from './kubernetes-objects.js'

/** Examples that are rendered, by folder. */
export const plainExamples: Readonly<Record<string, string>> = {
  'existing-kafka': 'existing-kafka',
  development: 'development',
}

const NAMESPACE: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'plateau', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  spec: undefined,
}

const HEAD = '# Made from deploy/helm/plateau by `npm run gen:chart`; a test compares them.\n'

/** File names, and what they hold: topics.yaml first (a job), then plateau.yaml. */
export function plainManifests(example: string): Readonly<Record<string, string>> {
  // Those two are files already, in the chart's folder `files`.
  const set = ['monitoring.dashboards.enabled=false', 'monitoring.rules.enabled=false']
  const objects = render({ examples: [example], set }).map(withoutHelm)
  const isForTopics = ({ metadata }: KubernetesObject): boolean =>
    metadata.labels?.['app.kubernetes.io/component'] === 'topics'
  return {
    'namespace.yaml': text([NAMESPACE]),
    // A job's pods cannot be changed: delete it before it is applied again.
    'topics.yaml': text(objects.filter(isForTopics)),
    'plateau.yaml': text(objects.filter((object) => !isForTopics(object))),
  }
}

/** Labels and annotations that only Helm knows what to do with are left out. */
function withoutHelm(object: KubernetesObject): KubernetesObject {
  const { labels = {}, annotations = {}, ...metadata } = object.metadata
  const ours = (entries: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(entries).filter(([key]) => !key.startsWith('helm.sh/') && key !== 'app.kubernetes.io/managed-by'),
    )
  const kept = ours(annotations)
  return {
    ...object,
    metadata: { ...metadata, labels: ours(labels), ...(Object.keys(kept).length > 0 ? { annotations: kept } : {}) },
  }
}

function text(objects: readonly KubernetesObject[]): string {
  return (
    HEAD +
    objects
      .map(
        (object) =>
          `---\n${stringify(object, { version: KUBERNETES_YAML, lineWidth: 0, aliasDuplicateObjects: false })}`,
      )
      .join('')
  )
}
