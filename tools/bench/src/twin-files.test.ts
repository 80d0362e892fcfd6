import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { writeTwin, type TwinTensor, type TwinWorkload } from './twin-files.js'

it('tensors lie where workload.json says, aligned, one after the other', () => {
  const folder = mkdtempSync(join(tmpdir(), 'twin-'))
  try {
    const trained = new Map<string, TwinTensor>([['w', { shape: [3], data: Float32Array.of(1, 2, 3) }]])
    const fixed = new Map<string, TwinTensor>([['ids', { shape: [1, 2], data: BigInt64Array.of(5n, -1n) }]])
    writeTwin(folder, { kind: 'causal-lm', trained, fixed } as unknown as TwinWorkload)
    const workload = JSON.parse(readFileSync(join(folder, 'workload.json'), 'utf8')) as Record<string, unknown>
    expect(workload).toMatchObject({
      kind: 'causal-lm',
      trained: [['w', 'f32', [3], 0]],
      fixed: [['ids', 'i64', [1, 2], 64]],
    })
    const bytes = readFileSync(join(folder, 'tensors.bin'))
    expect([0, 4, 8].map((at) => bytes.readFloatLE(at))).toEqual([1, 2, 3])
    expect([64, 72].map((at) => bytes.readBigInt64LE(at))).toEqual([5n, -1n])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
