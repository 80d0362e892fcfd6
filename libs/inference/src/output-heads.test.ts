import { initialFeatureHead, withParameters, withVocabulary } from '@plateau/causal-lm'
import { seededRandom } from '@plateau/speculation'
import { prepareDraftTarget } from '@plateau/training'
import { expect, test } from 'vitest'
import { buildFeatureHead } from './built-feature-head.js'
import { float32 } from './host-tensor.js'
import { OutputHeads } from './output-heads.js'

const H = 16
const V = 40
const random = seededRandom(3)
const config = { hiddenSize: H, vocabSize: V, bilinearFeatures: 8, rmsNormEps: 1e-5, layer: undefined }
const embeddings = Float32Array.from({ length: V * H }, () => random() - 0.5)
const target = prepareDraftTarget({ embeddings, head: embeddings, norm: new Float32Array(H).fill(1) }, config)
const head = initialFeatureHead(config, target, random)
const scaled = float32(new Float32Array(H).fill(0.5), [1, H])

/** With the output head apart where it is large enough. */
const built = (of = head, loaded: readonly string[] = [], minElements = V * H) =>
  buildFeatureHead(of, target, { sharedOutput: { minElements, loaded } })

test('only an output head that is large enough stands apart', () => {
  expect(built().output).toBeDefined()
  expect(built(head, [], V * H + 1).output).toBeUndefined()
  expect(buildFeatureHead(head, target).output).toBeUndefined()
})

test('versions of one vocabulary have one output head, and what is loaded is not made again', () => {
  const { output } = built()
  const next = withParameters(head, { logit_scale: Float32Array.of(2) })
  expect(built(next).output).toEqual(output)
  expect(built(next, [output!.key]).output).toEqual({ key: output!.key, model: undefined })
  const other = withVocabulary(
    head,
    Int32Array.from({ length: V - 1 }, (_, id) => id),
  )
  expect(built(other, [output!.key], 1).output).toMatchObject({ model: expect.any(Uint8Array) })
})

test('the first lease loads, later ones share, and the last one frees', async () => {
  const outputs = new OutputHeads()
  const { output } = built()
  const first = await outputs.lease(output!, 1)
  const second = await outputs.lease({ key: output!.key, model: undefined }, 1)
  expect(second.session).toBe(first.session)
  await Promise.all([first.release(), first.release()])
  expect((await second.session.run({ scaled }))['top_ids']!.dims).toEqual([1, V])
  await second.release()
  await expect(second.session.run({ scaled })).rejects.toMatchObject({ code: 'SESSION_RELEASED' })
  await expect(outputs.lease({ key: output!.key, model: undefined }, 1)).rejects.toThrow('not loaded any more')
})

test('what is held stays loaded while its last user leaves', async () => {
  const outputs = new OutputHeads()
  const { output } = built()
  const lease = await outputs.lease(output!, 1)
  const held = outputs.hold()
  expect(held.loaded).toEqual([output!.key])
  await lease.release()
  const next = await outputs.lease({ key: output!.key, model: undefined }, 1)
  await held.release()
  expect((await next.session.run({ scaled }))['top_ids']!.dims).toEqual([1, V])
  await next.release()
  expect(outputs.hold().loaded).toEqual([])
})

test('an output head that the engine refuses is not remembered', async () => {
  const outputs = new OutputHeads()
  const { output } = built()
  const broken = { key: output!.key, model: Uint8Array.of(1, 2, 3) }
  await expect(outputs.lease(broken, 1)).rejects.toMatchObject({ code: 'MODEL_NOT_LOADABLE' })
  expect(outputs.hold().loaded).toEqual([])
  await (await outputs.lease(output!, 1)).release()
})
