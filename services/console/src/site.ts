import { readFileSync } from 'node:fs'
import { stateJson, versionJson } from './api.js'
import { assetAnswer, htmlAnswer, jsonAnswer, type Answer } from './http/answers.js'
import type { Manifests } from './manifests.js'
import type { ConsoleState, LineageState } from './model/state.js'
import { page, type SourceStatus } from './pages/layout.js'
import { overviewPage } from './pages/overview.js'
import { versionPage } from './pages/version.js'
import { versionsPage, versionsQuery } from './pages/versions.js'
import { versionStory, type VersionStory } from './version-facts.js'

export interface SiteOptions {
  readonly state: ConsoleState
  readonly manifests: Manifests
  readonly sources: () => SourceStatus
  readonly clock: () => number
}

const assetTypes = {
  '/style.css': 'text/css; charset=utf-8',
  '/app.js': 'text/javascript; charset=utf-8',
  '/favicon.svg': 'image/svg+xml',
} as const

/** What there is at every path. */
export class Site {
  readonly #options: SiteOptions
  readonly #assets: ReadonlyMap<string, { readonly type: string; readonly body: Buffer }>

  /** Reads the stylesheet and the script; throws when the installation lacks them. */
  constructor(options: SiteOptions) {
    this.#options = options
    this.#assets = new Map(
      Object.entries(assetTypes).map(([path, type]) => {
        // Beside src and beside dist.
        return [path, { type, body: readFileSync(new URL(`../assets${path}`, import.meta.url)) }]
      }),
    )
  }

  sources(): SourceStatus {
    return this.#options.sources()
  }

  /** Undefined: there is nothing there. */
  async answer({ pathname, searchParams }: URL, knownTag: string | undefined): Promise<Answer | undefined> {
    const { state, manifests, clock } = this.#options
    const sources = this.sources()
    const asset = this.#assets.get(pathname)
    if (asset !== undefined) return assetAnswer(asset.type, asset.body, knownTag)
    if (pathname === '/') {
      const main = overviewPage(state, searchParams.get('range'), clock())
      return htmlAnswer(page({ title: 'Overview', at: 'overview', main, sources }))
    }
    if (pathname === '/versions') {
      const main = await versionsPage(state, versionsQuery(searchParams), manifests, clock())
      return htmlAnswer(page({ title: 'Versions', at: 'versions', main, sources }))
    }
    if (pathname === '/api/state.json') return jsonAnswer(stateJson(state, sources, clock()))
    return this.#version(pathname)
  }

  async #version(pathname: string): Promise<Answer | undefined> {
    const { state, clock } = this.#options
    const asked = await this.#find(/^(?:\/api)?\/versions\/([^/]+)\/([1-9]\d{0,15})(\.json)?$/.exec(pathname))
    if (asked === undefined) return undefined
    const { lineage, story } = asked
    if (pathname.startsWith('/api/')) {
      return pathname.endsWith('.json') ? jsonAnswer(versionJson(lineage, story)) : undefined
    }
    if (pathname.endsWith('.json')) return undefined
    const main = versionPage({ state, lineage, story, nowMs: clock() })
    const title = `${lineage.name} v${story.version.version}`
    return htmlAnswer(page({ title, at: 'other', main, sources: this.sources() }))
  }

  async #find(match: RegExpExecArray | null): Promise<{ lineage: LineageState; story: VersionStory } | undefined> {
    const lineage = this.#options.state.lineages.get(decoded(match?.[1] ?? ''))
    if (lineage === undefined) return undefined
    const story = await versionStory(lineage, Number(match![2]), this.#options.manifests)
    return story === undefined ? undefined : { lineage, story }
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}
