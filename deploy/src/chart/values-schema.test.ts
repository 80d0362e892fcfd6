import { describe, expect, test } from 'vitest'
import { hasProgram } from '../programs.js'
import { template } from './helm.js'

const refusal = (set: string[], example = 'existing-kafka'): string => {
  const answer = template({ examples: [example], set })
  return answer.ok ? 'accepted' : answer.stderr
}

describe.skipIf(!hasProgram('helm'))('values that cannot work are refused, with their name', () => {
  test.each([
    ['a misspelt value', ['servng.replicas=2'], /servng/],
    ['a misspelt value inside', ['serving.replcas=2'], /replcas/],
    ['an unknown kind of store', ['checkpoints.store=nfs'], /checkpoints\/store|checkpoints\.store/],
    ['S3 without a bucket', ['checkpoints.s3.bucket='], /bucket/],
    ['no brokers', ['kafka.bootstrapServers=null'], /bootstrapServers/],
    ['brokers and Strimzi', ['strimzi.enabled=true'], /bootstrapServers/],
    ['a broker without a port', ['kafka.bootstrapServers={kafka}'], /bootstrapServers/],
    ['latest', ['image.tag=latest'], /image.tag|tag/],
    ['no memory limit', ['trainer.resources.limits.memory=null'], /limits/],
    ['more scorers than partitions', ['flatnessScorer.keda.maxReplicas=5'], /maxReplicas/],
    ['orders from outside without keys', ['serving.admin.enabled=true'], /apiKeys.*secretName/s],
    ['client certificates without TLS', ['kafka.auth.type=tls,kafka.tls.enabled=false'], /tls\/enabled|tls\.enabled/],
    ['a model on a claim without a name', ['model.source=pvc'], /claimName/],
    ['an ingress without a host', ['serving.ingress.enabled=true'], /host/],
    ['cert-manager without an issuer', ['mtls.certManager.enabled=true'], /issuerRef\/name|issuerRef\.name/],
    ['a setting that is none', ['serving.settings.plateau_margin=1'], /plateau_margin/],
    ['a setting that the chart sets', ['serving.settings.PLATEAU_LINEAGE=x'], /PLATEAU_LINEAGE is set by the chart/],
    ['a lineage that is no name', ['furtherLineages[0].name=A B'], /furtherLineages/],
    ['KEDA with OAuth', ['flatnessScorer.keda.enabled=true'], /with oauthbearer leave it off/, 'real-model'],
  ] as const)('%s', (_, set, message, example?) => {
    expect(refusal([...set], example)).toMatch(message)
  })
})
