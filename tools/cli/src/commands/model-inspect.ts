import { loadTokenizer, openModel, weightMemory, type ModelDescription } from '@plateau/model-files'
import { modelsDirectory, resolveModel } from '@plateau/model-hub'
import { command } from '../command.js'
import { table } from '../table.js'

export const modelInspect = command({
  name: 'model inspect',
  summary: 'what a model is and what it takes to serve it',
  details: [
    'PATH is a Hugging Face directory, a GGUF file, or a directory with exactly one. Headers, names and',
    'shapes of all tensors and the tokenizer are checked; the weight files are read for the fingerprint.',
  ].join('\n'),
  argument: { placeholder: 'PATH|NAME', help: 'a path, or a name of plateau model list' },
  options: {},
  run: async (context, _options, nameOrPath) => {
    const path = await resolveModel(nameOrPath, { directory: modelsDirectory(context.environment) })
    const model = await openModel(path)
    await model.close()
    const facts = { path, ...summaryOf(model.description, (await loadTokenizer(path)).vocabSize) }
    context.report({ json: facts, text: textOf(facts) })
    return 0
  },
})

type Facts = ReturnType<typeof summaryOf> & { readonly path: string }

function summaryOf({ config, storedTensors, ...description }: ModelDescription, tokens: number) {
  const memory = weightMemory(storedTensors)
  return {
    modelId: description.modelId,
    format: description.format,
    family: config.family ?? 'llama',
    parameters: description.parameterCount,
    layers: config.layers,
    hiddenSize: config.hiddenSize,
    heads: config.heads,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    intermediateSize: config.intermediateSize,
    vocabSize: config.vocabSize,
    tiedEmbeddings: config.tieEmbeddings,
    context: config.maxPositions,
    ropeScaling: config.ropeScaling?.kind ?? null,
    slidingWindow: config.slidingWindow ?? null,
    tensorTypes: typesOf(storedTensors),
    tokens,
    endTokens: config.eosTokenIds,
    chatTemplate: description.chatTemplate !== undefined,
    weightBytes: { f32: memory.f32, int8: memory.int8, int4: Number.isFinite(memory.int4) ? memory.int4 : null },
    keyValueBytesPerToken: 2 * config.layers * config.kvHeads * config.headDim * 4,
    fingerprint: description.fingerprint,
    tokenizerHash: description.tokenizerHash,
  }
}

function typesOf(tensors: ModelDescription['storedTensors']) {
  const types = new Map<string, { type: string; tensors: number; parameters: number; bytes: number }>()
  for (const { type, elements, bytes } of tensors) {
    const so = types.get(type) ?? { type, tensors: 0, parameters: 0, bytes: 0 }
    types.set(type, {
      type,
      tensors: so.tensors + 1,
      parameters: so.parameters + elements,
      bytes: so.bytes + bytes,
    })
  }
  return [...types.values()].toSorted((a, b) => b.bytes - a.bytes)
}

function textOf(facts: Facts): string {
  const { weightBytes: memory } = facts
  const rows: (readonly [string, string])[] = [
    ['model', `${facts.modelId} (${facts.format}), ${facts.path}`],
    ['family', `${facts.family}, ${millions(facts.parameters)} parameters`],
    ['layers', `${facts.layers} of ${facts.hiddenSize}, feed-forward ${facts.intermediateSize}`],
    ['attention', `${facts.heads} heads of ${facts.headDim}, ${facts.kvHeads} for keys and values${windowOf(facts)}`],
    ['vocabulary', `${facts.vocabSize}, embeddings ${facts.tiedEmbeddings ? 'tied' : 'not tied'} to the output`],
    ['context', `${facts.context} positions${facts.ropeScaling ? `, rotary scaling ${facts.ropeScaling}` : ''}`],
    ['tokenizer', `${facts.tokens} tokens, ends with ${facts.endTokens.join(', ') || 'none'}`],
    ['chat template', facts.chatTemplate ? 'yes' : 'no'],
    ['weights in memory', `f32 ${mega(memory.f32)}, int8 ${mega(memory.int8)}, int4 ${mega(memory.int4)}`],
    ['keys and values', `${(facts.keyValueBytesPerToken / 1e3).toFixed(1)} kB a token`],
    ['fingerprint', facts.fingerprint],
    ['tokenizer hash', facts.tokenizerHash],
  ]
  const lines = rows.map(([name, what]) => `${name.padEnd(18)} ${what}\n`).join('')
  const types = facts.tensorTypes.map((one) => [one.type, one.tensors, millions(one.parameters), mega(one.bytes)])
  return `${lines}\n${table(['stored as', 'tensors', 'parameters', 'size'], types)}`
}

function windowOf({ slidingWindow }: Facts): string {
  return slidingWindow === null ? '' : `, a window of ${slidingWindow} positions`
}

const millions = (count: number): string => `${(count / 1e6).toFixed(count < 1e6 ? 3 : 1)} M`
const mega = (bytes: number | null): string =>
  bytes === null ? 'not stored so' : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`
