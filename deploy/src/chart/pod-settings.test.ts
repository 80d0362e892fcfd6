import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { catalogue } from '@plateau/model-hub'
import { describe, expect, test } from 'vitest'
import { hasProgram } from '../programs.js'
import { render } from './helm.js'
import { workloads, type KubernetesObject } from './kubernetes-objects.js'
import { chartDirectory } from '../paths.js'
import { settingViolations } from './pod-settings.js'
import { settingOf } from './pod-policies.js'

const examples = readdirSync(join(chartDirectory, 'ci')).map((file) => file.replace(/-values\.yaml$/, ''))

describe.skipIf(!hasProgram('helm'))('settings', () => {
  test.each(examples)(
    '%s gives every service what its own schema takes, with files that are mounted',
    async (example) => {
      expect(await settingViolations(render({ examples: [example] }))).toEqual([])
    },
  )

  const withSetting = async (service: string, name: string, value: string): Promise<string[]> => {
    const objects = structuredClone(render({ examples: ['full'] })) as KubernetesObject[]
    const container = workloads(objects).find(({ metadata }) => metadata.name === `plateau-${service}`)!.spec.template
      .spec.containers[0]!
    const env = container.env!.filter((variable) => variable.name !== name)
    Object.assign(container, { env: [...env, { name, value }] })
    return settingViolations(objects)
  }

  test.each([
    ['an unknown setting', 'serving', 'PLATEAU_SPEED', 'fast', /PLATEAU_SPEED is not a setting of this service/],
    ['a value that is none', 'trainer', 'PLATEAU_DRAIN_SECONDS', 'long', /PLATEAU_DRAIN_SECONDS="long"/],
    ['a file that nothing mounts', 'serving', 'PLATEAU_VERIFY_KEY_FILE', '/etc/other/key.pem', /nothing is there/],
    [
      'a model that the image does not have',
      'target-model',
      'PLATEAU_MODEL',
      '/opt/plateau/models/none',
      /nothing is there/,
    ],
    ['a trust domain that the certificates are not of', 'serving', 'PLATEAU_TRUST_DOMAIN', 'other.com', /PLATEAU_TLS/],
  ])('%s is found', async (_, service, name, value, message) => {
    const problems = await withSetting(service, name, value)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(message)
  })

  test('a fetched model is where its name says', () => {
    for (const { name, file } of catalogue) {
      const objects = render({ examples: ['fetched-model'], set: [`model.fetch.name=${name}`] })
      const target = workloads(objects).find(({ metadata }) => metadata.name === 'plateau-target-model')!
      expect(settingOf(target.spec.template.spec.containers[0]?.env, 'PLATEAU_MODEL')).toBe(`/models/${file}`)
    }
  })
})
