/**
 * What CI runs, and what a developer runs before pushing: every step in order, each with its time, all failures shown.
 * Ends with a line that counts tests. Exit status 0 only when everything passed.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boundaryViolations, readPackages } from './boundaries.ts'
import { readFiles, telemetryProblems, type TelemetryNames } from './telemetry-names.ts'

interface Step {
  readonly name: string
  /** Undefined when it passed, otherwise what to show. */
  run(): string | undefined | Promise<string | undefined>
}

const command = (name: string, line: string): Step => ({
  name,
  run: () => {
    const result = spawnSync(line, { shell: true, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    return result.status === 0 ? undefined : `$ ${line}\n${result.stdout}${result.stderr}`
  },
})

const scratch = mkdtempSync(join(tmpdir(), 'plateau-check-'))
const testReport = join(scratch, 'tests.json')

/** Generates the contracts again, beside the committed ones, and compares. */
const generatedIsUpToDate: Step = {
  name: 'generated code',
  run: () => {
    cpSync('proto', join(scratch, 'proto'), { recursive: true })
    const committed = 'libs/contracts/src/gen'
    const line = `buf generate proto --template proto/buf.gen.yaml -o ${scratch} && diff -r ${scratch}/${committed} ${committed}`
    const result = spawnSync(line, { shell: true, encoding: 'utf8' })
    return result.status === 0 ? undefined : `run \`npm run gen\` and commit:\n${result.stdout}${result.stderr}`
  },
}

/** The image that consumers generate their code from is what `proto/` says. */
const publishedImage: Step = {
  name: 'published image',
  run: () => {
    const line = `buf build proto -o ${scratch}/image.binpb && cmp ${scratch}/image.binpb docs/plateau.binpb`
    const result = spawnSync(line, { shell: true, encoding: 'utf8' })
    return result.status === 0 ? undefined : `run \`npm run gen:docs\` and commit:\n${result.stdout}${result.stderr}`
  },
}

const boundaries: Step = {
  name: 'module boundaries',
  run: () => {
    const violations = boundaryViolations(readPackages())
    return violations.length === 0 ? undefined : violations.join('\n')
  },
}

const telemetryNames: Step = {
  name: 'telemetry names',
  run: async () => {
    const built = new URL('../../../libs/telemetry/dist/index.js', import.meta.url).href
    const { telemetryNames: names } = (await import(built)) as { readonly telemetryNames: TelemetryNames }
    const problems = telemetryProblems(readFiles(), names)
    return problems.length === 0 ? undefined : problems.join('\n')
  },
}

/** The whole suite, streaming its output; counts come from the runner's own report. */
const tests: Step = {
  name: 'tests (npm test)',
  run: () => {
    const line = `npm test -- --reporter=default --reporter=json --outputFile.json=${testReport}`
    const result = spawnSync(line, { shell: true, stdio: 'inherit' })
    return result.status === 0 ? undefined : 'npm test failed; its output is above'
  },
}

const steps: readonly Step[] = [
  command('format', 'oxfmt --check'),
  command('protobuf lint', 'buf lint proto'),
  ...(existsSync('proto/baseline.binpb')
    ? [command('protobuf compatibility', 'buf breaking proto --against proto/baseline.binpb')]
    : []),
  generatedIsUpToDate,
  publishedImage,
  boundaries,
  command('types', 'tsc -b'),
  // Compiled by the step before.
  command('documents', 'node tools/docs/dist/main.js --check'),
  telemetryNames,
  command('lint', 'oxlint'),
  tests,
]

let failed = 0
for (const step of steps) {
  const startMs = performance.now()
  const problem = await step.run()
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  console.log(`${problem === undefined ? 'ok  ' : 'FAIL'} ${step.name} (${seconds} s)`)
  if (problem === undefined) continue
  console.log(problem)
  failed++
}

if (existsSync(testReport)) {
  const report = JSON.parse(readFileSync(testReport, 'utf8')) as Record<string, number>
  // A failed check that is not a test counts as one failure, so that the line cannot look green.
  const failures = Math.max(report['numFailedTests'] ?? 0, failed > 0 ? 1 : 0)
  const skipped = (report['numPendingTests'] ?? 0) + (report['numTodoTests'] ?? 0)
  console.log(`${report['numPassedTests'] ?? 0} passed, ${failures} failed, ${skipped} skipped`)
} else {
  console.log('0 passed, 1 failed, 0 skipped')
}
rmSync(scratch, { recursive: true, force: true })
process.exitCode = failed > 0 || !existsSync('node_modules') ? 1 : 0
