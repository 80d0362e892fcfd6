import type { CausalLmConfig, RopeScaling } from '@plateau/causal-lm'
import { type ConfigFields, show } from './config-fields.js'
import { isJsonObject, type JsonObject } from './json-object.js'

/** transformers 5 moved rope_theta and rope_scaling into rope_parameters; both ways are read. */
export function readRope(fields: ConfigFields): Pick<CausalLmConfig, 'ropeTheta' | 'ropeScaling'> {
  const name = isJsonObject(fields.get('rope_scaling')) ? 'rope_scaling' : 'rope_parameters'
  const found = fields.get(name) ?? fields.get('rope_scaling') ?? {}
  if (!isJsonObject(found)) {
    fields.problem(`${name} must be an object, not ${show(found)}`)
    return { ropeTheta: 1 }
  }
  const rope = fields.nested(name, found)
  const ropeTheta = 'rope_theta' in found ? rope.positive('rope_theta') : fields.positive('rope_theta', 10_000)
  rope.requireDefault('partial_rotary_factor', 1)
  const kind = found['rope_type'] ?? found['type'] ?? (hasOwnKinds(found) ? 'one for each kind of layer' : 'default')
  const ropeScaling = readScaling(kind, rope, fields)
  if (ropeScaling === 'unknown') fields.unsupported(`${name}.rope_type ${show(kind)} is not supported`)
  return ropeScaling === undefined || ropeScaling === 'unknown' ? { ropeTheta } : { ropeTheta, ropeScaling }
}

/** For rope_scaling in a config.json, as transformers reads it. */
export function ropeScalingJson(scaling: RopeScaling | undefined, maxPositions: number): JsonObject | null {
  switch (scaling?.kind) {
    case undefined:
      return null
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor }
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalMaxPositions,
      }
    case 'factors':
      // The one kind there that lists factors; with equal lists nothing depends on the length of the text.
      return {
        rope_type: 'longrope',
        factor: 1,
        attention_factor: 1,
        short_factor: scaling.factors,
        long_factor: scaling.factors,
        original_max_position_embeddings: maxPositions,
      }
  }
}

function readScaling(kind: unknown, rope: ConfigFields, fields: ConfigFields): RopeScaling | undefined | 'unknown' {
  switch (kind) {
    case 'default':
      return undefined
    case 'linear':
      return { kind: 'linear', factor: rope.positive('factor') }
    case 'llama3':
      return {
        kind: 'llama3',
        factor: rope.positive('factor'),
        lowFrequencyFactor: rope.positive('low_freq_factor'),
        highFrequencyFactor: rope.positive('high_freq_factor'),
        originalMaxPositions: rope.size('original_max_position_embeddings'),
      }
    case 'longrope':
      return readFactors(rope, fields)
    default:
      return 'unknown'
  }
}

/** Only what ropeScalingJson writes: one list of factors, whatever the length of the text. */
function readFactors(rope: ConfigFields, fields: ConfigFields): RopeScaling | undefined {
  const factors = rope.get('short_factor')
  const isSimple =
    rope.get('attention_factor') === 1 && JSON.stringify(rope.get('long_factor')) === JSON.stringify(factors)
  if (!isSimple) {
    fields.unsupported('rope_type "longrope" is not supported with two lists of factors or without attention_factor 1')
    return undefined
  }
  if (Array.isArray(factors) && factors.every((factor): factor is number => typeof factor === 'number' && factor > 0)) {
    return { kind: 'factors', factors }
  }
  fields.problem(`short_factor must be a list of positive numbers, not ${show(factors)}`)
  return undefined
}

function hasOwnKinds(rope: JsonObject): boolean {
  return Object.values(rope).some(isJsonObject)
}
