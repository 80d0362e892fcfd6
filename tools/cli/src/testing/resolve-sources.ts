import { registerHooks } from 'node:module'

/**
 * Lets node run the workspace's sources as they are: imports name the .js files that a build would make, and a test must
 * not depend on a build. Use: node --conditions=@plateau/source --import resolve-sources.ts program.ts
 */
registerHooks({
  resolve(specifier, context, nextResolve) {
    const isSource = context.parentURL?.endsWith('.ts') && specifier.startsWith('.') && specifier.endsWith('.js')
    return nextResolve(isSource ? `${specifier.slice(0, -3)}.ts` : specifier, context)
  },
})
