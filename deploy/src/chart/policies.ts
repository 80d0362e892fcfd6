import * as pods from './pod-policies.js'
import type { Policy } from './pod-policies.js'
import * as release from './release-policies.js'

/** Everything that is asked of a release's objects beyond their schemas, by what it says. */
export const policies: Readonly<Record<string, Policy>> = {
  'images have a tag or digest, not latest': pods.images,
  'requests and a memory limit, no cpu limit': pods.resources,
  'the heap leaves a quarter of the memory': pods.heap,
  'three probes, on ports that are there': pods.probes,
  'ports are named and in range': pods.ports,
  'Pod Security restricted, read-only root': pods.restricted,
  'no token of the Kubernetes API, no service links': pods.tokens,
  'scratch space is bounded': pods.scratchSpace,
  'mounts and volumes belong together': pods.mounts,
  'grace covers preStop and draining': pods.gracePeriod,
  'selectors match their own pods only': release.selectors,
  'Services find their ports': release.servicePorts,
  'network policies open ports that are there': release.networkPolicyPorts,
  'names are taken by a cluster': release.names,
  'every object is there once': release.onlyOnce,
  'accounts are there and mount no token': release.accounts,
  'disruption budgets let nodes be drained': release.disruptionBudgets,
  'scaling stays within partitions': release.scaling,
  'hooks can run again': release.hooks,
  'jobs are hooks': release.jobs,
  'what holds data is kept': release.kept,
  'no secrets are made': release.noSecrets,
}
