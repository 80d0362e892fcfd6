import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { BenchError, progress } from '../bench-error.js'
import { cacheFolder } from '../cache-folder.js'
import { lastLine, runProgram } from '../run-program.js'
import type { NodeLlamaCpp } from './api.js'

export const nodeLlamaCppVersion = '3.22.1'

/**
 * node-llama-cpp with its own build of llama.cpp for this machine's processor: installed once into the user's cache, and
 * no dependency of this repository. No script of a package runs.
 *
 * Throws BenchError where npm cannot get it, or has no build for this platform.
 */
export async function prepareNodeLlamaCpp(): Promise<NodeLlamaCpp> {
  const folder = cacheFolder(`node-llama-cpp-${nodeLlamaCppVersion}`)
  const done = join(folder, '.complete')
  if (!existsSync(done)) {
    await install(folder)
    writeFileSync(done, '')
  }
  const entry = join(folder, 'node_modules', 'node-llama-cpp', 'dist', 'index.js')
  return (await import(pathToFileURL(entry).href)) as NodeLlamaCpp
}

async function install(folder: string): Promise<void> {
  progress(`installing node-llama-cpp ${nodeLlamaCppVersion} into ${folder} (once)`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  // Of its own, so that npm does not walk up into whatever lies above the cache.
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const packages = [
    `node-llama-cpp@${nodeLlamaCppVersion}`,
    `@node-llama-cpp/${platformPackage()}@${nodeLlamaCppVersion}`,
  ]
  const flags = ['--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund']
  const result = await runProgram('npm', ['install', ...flags, ...packages], { cwd: folder })
  if (result.code !== 0) {
    throw new BenchError(`npm could not install ${packages.join(' and ')}: ${lastLine(result)}`)
  }
}

function platformPackage(): string {
  const system = { linux: 'linux', darwin: 'mac', win32: 'win' }[platform() as string]
  const processor = { x64: 'x64', arm64: platform() === 'darwin' ? 'arm64-metal' : 'arm64' }[arch() as string]
  if (system !== undefined && processor !== undefined) return `${system}-${processor}`
  throw new BenchError(
    `node-llama-cpp has no build for ${platform()} on ${arch()}; leave it out with --without-llama-cpp`,
  )
}
