/**
 * Progressive stacking (Gong et al., 2019, "Efficient Training of BERT by Progressively Stacking"): train a shallow
 * model, then start the deep one from copies of its layers. Most steps then cost a fraction of the deep model's.
 */
import { parameterShapes, type CausalLmConfig } from '@plateau/causal-lm'
import type { OptimizerState } from './adamw.js'

/** The state of a model with `layers` layers, in which layer i is layer i mod n of the n-layer state. Copies. */
export function stackLayers(shallow: OptimizerState, config: CausalLmConfig, layers: number): OptimizerState {
  const names = [...parameterShapes({ ...config, layers }).keys()]
  const stack = (arrays: ReadonlyMap<string, Float32Array>) =>
    new Map(
      names.map((name) => {
        const source = arrays.get(sourceOf(name, config.layers))
        if (source === undefined) throw new RangeError(`the shallow model has nothing to make ${name} from`)
        return [name, source.slice()]
      }),
    )
  return {
    steps: shallow.steps,
    parameters: stack(shallow.parameters),
    firstMoments: stack(shallow.firstMoments),
    secondMoments: stack(shallow.secondMoments),
  }
}

function sourceOf(name: string, shallowLayers: number): string {
  return name.replace(/^model\.layers\.(\d+)\./, (_, layer: string) => `model.layers.${Number(layer) % shallowLayers}.`)
}
