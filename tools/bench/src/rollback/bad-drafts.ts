/** Drafts that are worse on purpose. */
import { featureHeadKind, type FeatureHead, type Parameter } from '@plateau/causal-lm'
import { decodeFeatureHead, encodeFeatureHead } from '@plateau/model-files'
import { normal, type Random } from '@plateau/speculation'
import { BenchError } from '../bench-error.js'
import type { PublishedDraft } from '../live/draft-publisher.js'

/** The linear map that makes nearly all of a head's prediction, [H, inputs]. */
const MAP = 'fc.weight'

/** The draft of a published version. Throws BenchError where it is of another kind. */
export function headOf({ manifest, files }: PublishedDraft): FeatureHead {
  if (manifest.kind !== featureHeadKind)
    throw new BenchError(`only feature-fed heads are made worse, not ${manifest.kind}`)
  return decodeFeatureHead(new Map(files.map(({ path, bytes }) => [path, Buffer.from(bytes)])), `v${manifest.version}`)
}

/** The same version with other weights. */
export function withHead({ manifest, files }: PublishedDraft, head: FeatureHead): PublishedDraft {
  const encoded = encodeFeatureHead(head)
  const others = files.filter(({ path }) => !encoded.some((file) => file.path === path))
  return { manifest, files: [...encoded, ...others] }
}

/** Every matrix is noise of the size that it had. */
export function randomHead(head: FeatureHead, random: Random): FeatureHead {
  const entries = [...head.parameters].map(([name, parameter]): [string, Parameter] =>
    parameter.shape.length < 2 ? [name, parameter] : [name, { ...parameter, data: noiseLike(parameter, random) }],
  )
  return { ...head, parameters: new Map(entries) }
}

/** Noise on the map, `share` times as large as the map itself. */
export function noisyHead(head: FeatureHead, share: number, random: Random): FeatureHead {
  const map = head.parameters.get(MAP)!
  const noise = noiseLike(map, random)
  const data = map.data.map((weight, i) => weight + share * noise[i]!)
  return { ...head, parameters: new Map([...head.parameters, [MAP, { ...map, data }]]) }
}

/** Normal numbers with the root mean square of the parameter. */
function noiseLike({ data }: Parameter, random: Random): Float32Array {
  const size = Math.sqrt(data.reduce((sum, weight) => sum + weight * weight, 0) / data.length)
  return data.map(() => size * normal(random))
}
