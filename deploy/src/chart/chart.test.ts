import { globSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hasProgram } from '../programs.js'
import { helm, render, valuesArguments } from './helm.js'
import { ofKind } from './kubernetes-objects.js'
import { chartDirectory } from '../paths.js'
import { policies } from './policies.js'
import { neededFromOutside } from './release-policies.js'
import { schemaViolations } from './schemas.js'

const examples = readdirSync(join(chartDirectory, 'ci')).map((file) => file.replace(/-values\.yaml$/, ''))

describe.skipIf(!hasProgram('helm'))('every values example', () => {
  test.each(examples)('%s passes helm lint --strict', (example) => {
    const answer = helm(['lint', '--strict', chartDirectory, ...valuesArguments([example])])
    expect(answer.stdout + answer.stderr).toContain('0 chart(s) failed')
    expect(answer.stdout).not.toMatch(/\[(ERROR|WARNING)\]/)
  })

  test.each(examples)('%s renders objects that fit the strict schemas of their kinds', (example) => {
    const objects = render({ examples: [example] })
    expect(objects.length).toBeGreaterThan(20)
    expect(objects.flatMap(schemaViolations)).toEqual([])
  })

  test.each(examples)('%s keeps every policy', (example) => {
    const objects = render({ examples: [example] })
    const violations = Object.entries(policies).flatMap(([name, check]) => check(objects).map((it) => `${name}: ${it}`))
    expect(violations).toEqual([])
  })

  test('all parts of the chart are in one of them', () => {
    const kinds = new Set(examples.flatMap((example) => render({ examples: [example] }).map(({ kind }) => kind)))
    expect([...kinds].toSorted()).toEqual([
      'Certificate',
      'ConfigMap',
      'Deployment',
      'HTTPRoute',
      'HorizontalPodAutoscaler',
      'Ingress',
      'Job',
      'Kafka',
      'KafkaNodePool',
      'KafkaTopic',
      'KafkaUser',
      'NetworkPolicy',
      'PersistentVolumeClaim',
      'PodDisruptionBudget',
      'PrometheusRule',
      'ScaledObject',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
      'TriggerAuthentication',
    ])
  })
})

describe.skipIf(!hasProgram('helm'))('the chart', () => {
  test('asks the user for these secrets and claims, and for no others', () => {
    expect(neededFromOutside(render({ examples: ['existing-kafka'] }))).toEqual([
      'Secret kafka-ca: ca.crt',
      'Secret plateau-console-token: token',
      'Secret plateau-kafka: password',
      'Secret plateau-s3: access-key-id',
      'Secret plateau-s3: secret-access-key',
      'Secret plateau-signing-key: signing.pem',
      'Secret plateau-verify-key: signing.pem.pub',
      'Secret s3-ca: ca.crt',
    ])
    expect(neededFromOutside(render({ examples: ['strimzi'] }))).toEqual([
      'Secret plateau-console-token: token',
      'Secret plateau-signing-key: signing.pem',
      'Secret plateau-verify-key: signing.pem.pub',
    ])
    expect(neededFromOutside(render({ examples: ['real-model'] }))).toEqual(
      expect.arrayContaining(['PersistentVolumeClaim drafts', 'PersistentVolumeClaim models']),
    )
  })

  test('the private signing key is in the trainer only, and an operator reaches orders by a Service of their own', () => {
    const objects = render({ examples: ['full'] })
    const holders = objects.filter((object) => JSON.stringify(object).includes('plateau-signing-key'))
    expect(holders.map(({ metadata }) => metadata.name).toSorted()).toEqual([
      'plateau-trainer',
      'plateau-trainer-acme',
      'plateau-trainer-code',
    ])
    const services = ofKind<{ ports: { port: number }[] }>(objects, 'Service')
    const withOrders = services.filter(({ spec }) => spec.ports.some(({ port }) => port === 7081))
    expect(withOrders.map(({ metadata }) => metadata.name)).toEqual(['plateau-serving-admin'])
    const routed = objects.filter(({ kind }) => kind === 'Ingress' || kind === 'HTTPRoute')
    expect(routed.map((object) => JSON.stringify(object).match(/"(?:path|value)":"([^"]+)"/)?.[1])).toEqual([
      '/v1',
      '/v1',
    ])
  })

  test('certificates carry the identity that the services ask each other for', () => {
    const certificates = ofKind<{ uris: string[] }>(render({ examples: ['full'], namespace: 'llm' }), 'Certificate')
    expect(certificates.flatMap(({ spec }) => spec.uris).toSorted()).toEqual([
      'spiffe://example.com/ns/llm/sa/operator',
      'spiffe://example.com/ns/llm/sa/serving',
      'spiffe://example.com/ns/llm/sa/target-model',
    ])
  })

  test('certificates name their services in every way in which clients may dial them', () => {
    const objects = render({ examples: ['full'] })
    const dialled = ofKind(objects, 'Service')
      .map(({ metadata }) => metadata)
      .filter(({ name }) => /-(target-model|serving|serving-admin)$/.test(name))
      .flatMap(({ name, namespace }) =>
        ['', `.${namespace}`, `.${namespace}.svc`, `.${namespace}.svc.cluster.local`].map((rest) => name + rest),
      )
    const named = ofKind<{ dnsNames?: string[] }>(objects, 'Certificate').flatMap(({ spec }) => spec.dnsNames ?? [])
    expect(dialled.length).toBeGreaterThan(8)
    expect(named.toSorted()).toEqual(dialled.toSorted())
  })

  test('rules and dashboards are whatever lies in files/', () => {
    const objects = render({ examples: ['existing-kafka'] })
    const files = (pattern: string): number => globSync(`files/${pattern}`, { cwd: chartDirectory }).length
    expect(ofKind(objects, 'PrometheusRule')).toHaveLength(files('rules/*.yaml'))
    expect(ofKind(objects, 'ConfigMap')).toHaveLength(files('dashboards/*.json'))
  })
})
