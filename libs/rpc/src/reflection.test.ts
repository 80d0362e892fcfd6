import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createFileRegistry, create, type JsonObject } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt'
import { readDescriptorSet } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { callByName, dialAny, reflectionClient } from './testing-standard.js'
import { serve } from './testing.js'

describe.each(['v1', 'v1alpha'] as const)('reflection %s', (version) => {
  const start = async () => {
    const { server } = await serve(
      { score: async () => ({ window: undefined }) },
      { reflection: await readDescriptorSet() },
    )
    return { address: server.address, ...(await reflectionClient(server.address, version)) }
  }

  it('lists what the server serves, and no more', async () => {
    const { services } = await start()
    expect(await services()).toEqual([
      'plateau.target.v1.TargetService',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ])
  })

  it('describes every listed service well enough to call it knowing the address only', async () => {
    const { address, files, services } = await start()
    const described: FileDescriptorProto[] = []
    for (const name of await services()) described.push(...(await files({ fileContainingSymbol: name })))
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(described) }))
    for (const name of await services()) expect(registry.getService(name)?.methods.length).toBeGreaterThan(0)
    const client = dialAny(address)
    expect(await callByName(registry, client, 'plateau.target.v1.TargetService', 'Score', {})).toEqual({})
    expect(await callByName(registry, client, 'grpc.health.v1.Health', 'Check', {})).toEqual({ status: 'SERVING' })
  })

  it('finds the file of a service, method, message, field, oneof, enum and enum value, imports with it', async () => {
    const file = 'plateau/target/v1/target.proto'
    const names = [
      'plateau.target.v1.TargetService',
      'plateau.target.v1.TargetService.Speculate',
      'plateau.target.v1.SamplingParams',
      'plateau.target.v1.SamplingParams.top_p',
      'plateau.target.v1.SamplingParams.LogitBiasEntry',
      'plateau.target.v1.SpeculateRequest.message',
      'plateau.target.v1.FinishReason',
      'plateau.target.v1.FINISH_REASON_STOP',
    ]
    const { address } = await start()
    for (const fileContainingSymbol of names) {
      const { files } = await reflectionClient(address, version)
      const found = await files({ fileContainingSymbol })
      expect(found.map(({ name }) => name)).toEqual([file, 'plateau/stream/v1/window.proto'])
    }
  })

  it('gives a file by its name as often as it is asked for, but an import once a stream', async () => {
    const { files } = await start()
    const names = async (fileByFilename: string) => (await files({ fileByFilename })).map(({ name }) => name)
    const file = 'plateau/target/v1/target.proto'
    expect(await names(file)).toEqual([file, 'plateau/stream/v1/window.proto'])
    expect(await names(file)).toEqual([file])
    expect(await names('plateau/stream/v1/window.proto')).toEqual(['plateau/stream/v1/window.proto'])
  })

  it.each<[JsonObject, number, RegExp]>([
    [{ fileByFilename: 'none.proto' }, 5, /no file "none.proto"/],
    [{ fileContainingSymbol: 'plateau.None' }, 5, /"plateau.None"/],
    [{ fileContainingExtension: { containingType: 'plateau.stream.v1.TopK', extensionNumber: 7 } }, 5, /no extensions/],
    [{ allExtensionNumbersOfType: 'plateau.None' }, 5, /no message/],
    [{ host: 'here' }, 3, /asks for nothing/],
  ])('answers %j with an error, repeats the request, and goes on', async (request, errorCode, message) => {
    const { ask, services } = await start()
    const answer = await ask({ host: 'here', ...request })
    expect(answer).toMatchObject({
      validHost: 'here',
      originalRequest: { host: 'here', ...request },
      errorResponse: { errorCode, errorMessage: expect.stringMatching(message) },
    })
    expect(await services()).toHaveLength(4)
  })

  it('knows that a message of ours has no extensions', async () => {
    const { ask } = await start()
    const answer = await ask({ allExtensionNumbersOfType: 'plateau.stream.v1.TopK' })
    expect(answer['allExtensionNumbersResponse']).toEqual({ baseTypeName: 'plateau.stream.v1.TopK' })
  })
})

it('a server without a descriptor set does not answer reflection', async () => {
  const { server } = await serve({})
  const { ask } = await reflectionClient(server.address, 'v1')
  await expect(ask({ listServices: '' })).rejects.toMatchObject({ code: 12 })
})

it('the image of the standard services is what their protos say', async () => {
  const folder = fileURLToPath(new URL('../proto', import.meta.url))
  const buf = fileURLToPath(new URL('../../../node_modules/.bin/buf', import.meta.url))
  const built = spawnSync(buf, ['build', '.', '-o', '-#format=binpb'], { cwd: folder })
  expect(built.stderr.toString()).toBe('')
  expect(built.stdout.equals(await readFile(new URL('../grpc.binpb', import.meta.url)))).toBe(true)
})

/** Imports before what imports them, each file once, as a registry wants them. */
function inOrder<T extends { name: string; dependency: string[] }>(files: readonly T[]): T[] {
  const byName = new Map(files.map((file) => [file.name, file]))
  const ordered = new Set<T>()
  const add = (file: T): void => {
    for (const name of file.dependency) if (byName.has(name)) add(byName.get(name)!)
    ordered.add(file)
  }
  for (const file of byName.values()) add(file)
  return [...ordered]
}
