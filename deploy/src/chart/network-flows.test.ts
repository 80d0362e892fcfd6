import { describe, expect, test } from 'vitest'
import { hasProgram } from '../programs.js'
import { render } from './helm.js'
import { deniesByDefault, networkFlows } from './network-flows.js'

/** Who talks with whom, as the architecture has it. What is not here is refused. */
const everyFlow = [
  'console <- namespace gateways TCP http',
  'console <- namespace monitoring TCP ops',
  'flatness-scorer <- namespace monitoring TCP ops',
  'serving <- app=chat TCP grpc',
  'serving <- app=chat TCP http',
  'serving <- namespace gateways TCP grpc',
  'serving <- namespace gateways TCP http',
  'serving <- namespace monitoring TCP ops',
  'serving <- namespace operations TCP admin',
  'target-model <- component=serving TCP grpc',
  'target-model <- namespace monitoring TCP ops',
  'trainer <- namespace monitoring TCP ops',
  'serving -> component=target-model TCP grpc',
  ...['console', 'serving', 'trainer'].map((service) => `${service} -> 10.20.0.0/16 TCP 443`),
  ...['target-model', 'flatness-scorer', 'trainer', 'serving', 'console', 'topics'].flatMap((service) => [
    `${service} -> namespace kafka TCP 9093`,
    `${service} -> namespace kube-system k8s-app=kube-dns TCP 53`,
    `${service} -> namespace kube-system k8s-app=kube-dns UDP 53`,
  ]),
  ...['target-model', 'flatness-scorer', 'trainer', 'serving'].map(
    (service) => `${service} -> namespace kafka TCP 8081`,
  ),
  ...['target-model', 'flatness-scorer', 'trainer', 'serving', 'console'].map(
    (service) => `${service} -> namespace observability TCP 4318`,
  ),
].toSorted()

describe.skipIf(!hasProgram('helm'))('the network', () => {
  test('lets through exactly the flows of the architecture', () => {
    const objects = render({ examples: ['full'] })
    expect(deniesByDefault(objects)).toBe(true)
    expect(networkFlows(objects)).toEqual(everyFlow)
  })

  test('without traces, a registry, a hub and orders these flows are closed', () => {
    const flows = networkFlows(render({ examples: ['development'] }))
    expect(flows.filter((flow) => /4318|8081|443|admin/.test(flow))).toEqual([])
    expect(flows.filter((flow) => flow.startsWith('console <-'))).toEqual(['console <- namespace monitoring TCP ops'])
  })

  test('a model is fetched by who reads it', () => {
    const flows = networkFlows(render({ examples: ['fetched-model'], set: ['checkpoints.store=pvc'] }))
    expect(flows.filter((flow) => flow.includes('443'))).toEqual([
      'serving -> anybody TCP 443',
      'target-model -> anybody TCP 443',
      'trainer -> anybody TCP 443',
    ])
  })

  test('a policy that leaves a direction open is an error', () => {
    const objects = render({ examples: ['development'] })
    const policy = objects.find(({ kind }) => kind === 'NetworkPolicy')!
    const open = { ...policy, spec: { ...(policy.spec as object), policyTypes: ['Ingress'] } }
    expect(() => networkFlows([open])).toThrow(/leaves a direction open/)
  })
})
