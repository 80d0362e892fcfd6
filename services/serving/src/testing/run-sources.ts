/**
 * Loaded before the program of a thread that tests start from sources: Node then finds and reads TypeScript as Vitest does,
 * workspace packages by their sources and a file's `.js` imports as `.ts`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'

registerHooks({
  resolve(specifier, context, next) {
    const found = (name: string) => next(name, { ...context, conditions: [...context.conditions, '@plateau/source'] })
    if (!specifier.startsWith('.') || !specifier.endsWith('.js')) return found(specifier)
    const source = new URL(specifier.replace(/js$/, 'ts'), context.parentURL)
    return found(source.protocol === 'file:' && existsSync(source) ? source.href : specifier)
  },
  load(url, context, next) {
    if (!url.endsWith('.ts')) return next(url, context)
    const source = stripTypeScriptTypes(readFileSync(fileURLToPath(url), 'utf8'), { mode: 'transform' })
    return { format: 'module', source, shortCircuit: true }
  },
})
