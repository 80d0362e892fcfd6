import { existsSync, readdirSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const roots = [
  ...['libs', 'services', 'tools'].flatMap((kind) => readdirSync(kind).map((name) => `${kind}/${name}`)),
  'tests',
  'deploy',
].filter((root) => existsSync(`${root}/src`))

export default defineConfig({
  // Workspace packages resolve to their sources, so unit tests need no build.
  // Not 'module', which Node itself does not know: what it leads to is for bundlers.
  ssr: { resolve: { conditions: ['@plateau/source', 'node', 'development|production'] } },
  test: {
    maxWorkers: 2,
    // Opens the test run whose brokers all workers share, and removes them at its end.
    globalSetup: 'tools/kafka-dev/src/vitest-global-setup.ts',
    // Tests here start processes and wait for them; on a shared CI machine one may lose its turn. It is shown as retried.
    retry: process.env['CI'] ? 1 : 0,
    projects: roots.map((root) => ({
      extends: true as const,
      test: {
        name: root,
        root,
        include: ['src/**/*.test.ts'],
        // Set before onnxruntime-node loads: it writes to the home folder otherwise.
        env: { ORT_DISABLE_TELEMETRY: '1' },
        // Whole systems start in tests/: one after the other, when the unit tests are through.
        ...(root === 'tests'
          ? { testTimeout: 180_000, hookTimeout: 180_000, maxWorkers: 1, sequence: { groupOrder: 1 } }
          : { testTimeout: 30_000, hookTimeout: 30_000 }),
      },
    })),
  },
})
