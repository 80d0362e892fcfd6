import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hasProgram } from '../programs.js'
import { render, type RenderOptions } from './helm.js'
import { nameOf, parseObjects, workloads, type KubernetesObject } from './kubernetes-objects.js'
import { manifestsDirectory } from '../paths.js'
import { plainExamples, plainManifests } from './plain-manifests.js'
import { settingOf } from './pod-policies.js'
import { schemaViolations } from './schemas.js'

const templatesOf = (options: RenderOptions): Record<string, string> =>
  Object.fromEntries(
    workloads(render(options))
      .filter(({ kind }) => kind === 'Deployment')
      .map((workload) => [workload.metadata.name, JSON.stringify(workload.spec.template)]),
  )

const setting = (objects: readonly KubernetesObject[], name: string, setting: string): string | undefined => {
  const workload = workloads(objects).find(({ metadata }) => metadata.name === name)
  return settingOf(workload?.spec.template.spec.containers[0]?.env, setting)
}

describe.skipIf(!hasProgram('helm'))('an upgrade', () => {
  const examples = ['existing-kafka']

  test('in two steps renews whoever reads manifests first, and the trainers, which write them, last', () => {
    const before = templatesOf({ examples, set: ['image.tag=0.1.0'] })
    const first = templatesOf({ examples, set: ['image.tag=0.2.0', 'trainer.imageTag=0.1.0'] })
    const second = templatesOf({ examples, set: ['image.tag=0.2.0'] })
    const changed = (from: Record<string, string>, to: Record<string, string>) =>
      Object.keys(from).filter((name) => from[name] !== to[name])
    expect(changed(before, first).toSorted()).toEqual([
      'plateau-console',
      'plateau-flatness-scorer',
      'plateau-serving',
      'plateau-target-model',
    ])
    expect(changed(first, second)).toEqual(['plateau-trainer'])
  })

  test('that changes nothing of the pods restarts none', () => {
    const quiet = ['serving.replicas=5', 'monitoring.serviceMonitor.interval=30s', 'networkPolicy.s3.ports={9001}']
    expect(templatesOf({ examples, set: quiet })).toEqual(templatesOf({ examples }))
  })
})

describe.skipIf(!hasProgram('helm'))('two releases side by side', () => {
  const blue = hasProgram('helm') ? render({ examples: ['existing-kafka'], release: 'blue' }) : []
  const shared = hasProgram('helm') ? render({ examples: ['existing-kafka'], release: 'green' }) : []

  test('share no object, and select none of each other', () => {
    const names = new Set(blue.map(nameOf))
    expect(shared.filter((object) => names.has(nameOf(object)))).toEqual([])
    const labels = workloads(blue).map(({ spec }) => spec.template.metadata.labels['app.kubernetes.io/instance'])
    expect(new Set(labels)).toEqual(new Set(['blue']))
    const selectors = JSON.stringify(shared).match(/"app\.kubernetes\.io\/instance":"[^"]+"/g)
    expect(new Set(selectors)).toEqual(new Set(['"app.kubernetes.io/instance":"green"']))
  })

  test('of one lineage share log, checkpoints and keys: their trainers stand for the same lease', () => {
    for (const [service, names] of Object.entries({
      trainer: ['PLATEAU_EVENT_LOG', 'PLATEAU_CHECKPOINTS', 'PLATEAU_LINEAGE'],
      serving: ['PLATEAU_EVENT_LOG', 'PLATEAU_CHECKPOINTS', 'PLATEAU_LINEAGE'],
      'flatness-scorer': ['PLATEAU_EVENT_LOG', 'PLATEAU_LINEAGE'],
    })) {
      for (const name of names) {
        const value = setting(blue, `blue-plateau-${service}`, name)
        expect(value).toBeDefined()
        expect(setting(shared, `green-plateau-${service}`, name)).toBe(value)
      }
    }
    expect(setting(shared, 'green-plateau-serving', 'PLATEAU_TARGET_ADDRESS')).toMatch(/^green-/)
    expect(JSON.stringify(shared)).toContain('"secretName":"plateau-verify-key"')
  })

  test('on a Kafka by Strimzi the second one brings users of its own and no cluster or topics', () => {
    const second = render({
      examples: ['strimzi'],
      release: 'green',
      set: [
        'strimzi.clusterName=blue-plateau-kafka',
        'strimzi.createCluster=false',
        'strimzi.createTopics=false',
        'checkpoints.pvc.claimName=blue-plateau-checkpoints',
      ],
    })
    const kinds = new Set(second.map(({ kind }) => kind))
    expect(['Kafka', 'KafkaNodePool', 'KafkaTopic', 'PersistentVolumeClaim'].filter((kind) => kinds.has(kind))).toEqual(
      [],
    )
    const first = render({ examples: ['strimzi'], release: 'blue' })
    expect(setting(second, 'green-plateau-serving', 'PLATEAU_EVENT_LOG')).toBe(
      setting(first, 'blue-plateau-serving', 'PLATEAU_EVENT_LOG'),
    )
    const users = second.filter(({ kind }) => kind === 'KafkaUser').map(({ metadata }) => metadata.name)
    expect(users).toContain('green-plateau-trainer')
  })
})

test.skipIf(!hasProgram('helm')).each(Object.entries(plainExamples))(
  'deploy/kubernetes/%s is what the chart renders (npm run gen:chart)',
  (folder, example) => {
    for (const [name, text] of Object.entries(plainManifests(example))) {
      expect(readFileSync(join(manifestsDirectory, folder, name), 'utf8')).toBe(text)
      // As kubectl reads it: values of variables are text, also on and off.
      expect(parseObjects(text).flatMap(schemaViolations)).toEqual([])
    }
  },
)
