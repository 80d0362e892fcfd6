/** Compiles assembly/adamw.ts into src/adamw-kernel.ts. With --check: fails when the committed file would change. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { main as asc } from 'assemblyscript/asc'

const folder = join(import.meta.dirname, '..')
const target = join(folder, 'src', 'adamw-kernel.ts')
const written = new Map<string, Uint8Array>()
const { error } = await asc(
  ['adamw.ts', '-o', 'adamw.wasm', '-O3', '--runtime', 'stub', '--noAssert', '--importMemory', '--enable', 'simd'],
  {
    readFile: (name) => (name === 'adamw.ts' ? readFileSync(join(folder, 'assembly', name), 'utf8') : null),
    writeFile: (name, contents) => {
      written.set(name, typeof contents === 'string' ? Buffer.from(contents) : contents)
    },
    listFiles: () => [],
  },
)
const wasm = written.get('adamw.wasm')
if (error !== null || wasm === undefined)
  throw new Error('AssemblyScript could not compile assembly/adamw.ts', { cause: error })

const lines = (
  Buffer.from(wasm)
    .toString('base64')
    .match(/.{1,110}/g) ?? []
).map((line) => `  '${line}'`)
const source = `/** assembly/adamw.ts, compiled (${wasm.length} bytes). Made by scripts/build-adamw.ts: do not edit. */
export const adamwKernelBase64 =
${lines.join(' +\n')}
`
if (!process.argv.includes('--check')) writeFileSync(target, source)
else if (readFileSync(target, 'utf8') !== source)
  throw new Error('src/adamw-kernel.ts is not what assembly/adamw.ts compiles to')
console.log(`adamw kernel: ${wasm.length} bytes`)
