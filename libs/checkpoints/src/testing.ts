import { expect } from 'vitest'
import type { CheckpointManifest } from './manifest.js'

export const aboutVersion = (version: number): Omit<CheckpointManifest, 'schema' | 'files'> => ({
  lineage: 'default',
  version,
  parent: version - 1,
  kind: 'feature-fed-head',
  targetFingerprint: 'aa',
  tokenizerHash: 'bb',
  trainedThrough: [{ topic: 'windows', partition: 0, nextOffset: 17 }],
  policy: 'flatness(keep=0.5)',
  evaluation: { positions: 100, alpha: 0.4, parentAlpha: null, greedyMatch: 0.3 },
  trainedPositions: 1000,
  codeVersion: '0.1.0',
  createdAt: '2026-01-01T00:00:00.000Z',
})

export const files = [
  { path: 'config.json', bytes: Buffer.from('{}') },
  { path: 'model.safetensors', bytes: Buffer.alloc(1000, 7) },
]

export const expectations = {
  lineage: 'default',
  targetFingerprint: 'aa',
  tokenizerHash: 'bb',
  minVersion: 1,
}

export const withCode = (code: string): unknown => expect.objectContaining({ code })
