import { readFile } from 'node:fs/promises'

/** The version in this package's package.json, from its sources and from what is built of them alike. */
export async function packageVersion(): Promise<string> {
  const file = new URL('../package.json', import.meta.url)
  return (JSON.parse(await readFile(file, 'utf8')) as { readonly version: string }).version
}
