import { EVERY_TENANT, tenantDigest } from '@plateau/checkpoints'

/** Whose windows are in a draft, as manifests say it: sorted digests, or EVERY_TENANT alone. */
export interface LearnedFrom {
  /** Of gradient steps that its weights go on from. */
  readonly gradientTenants: readonly string[]
  /** Of sums and counts that it was made from: the closed form's, those that its tokens were chosen by. */
  readonly sumTenants: readonly string[]
}

export const LEARNED_FROM_NOBODY: LearnedFrom = { gradientTenants: [], sumTenants: [] }

/** What a manifest says of it; one from before this was noted may have learned from anybody. */
export function learnedFrom({ gradientTenants, sumTenants }: Partial<LearnedFrom>): LearnedFrom {
  return { gradientTenants: gradientTenants ?? [EVERY_TENANT], sumTenants: sumTenants ?? [EVERY_TENANT] }
}

/** Sorted, each once. */
export function digestsOf(tenants: Iterable<string>): string[] {
  return Array.from(new Set(tenants), tenantDigest).toSorted()
}

/** More are not told apart: then it may have been anybody. A manifest of all of them takes 200 KB. */
const MOST_TENANTS = 10_000

/** Whose windows gradients have used since they began, and whose were in what they began on. */
export class LearnedTenants {
  #digests: Set<string>

  constructor(digests: Iterable<string> = []) {
    this.#digests = new Set(digests)
  }

  add(tenant: string): void {
    if (this.#digests.has(EVERY_TENANT)) return
    this.#digests.add(tenantDigest(tenant))
    if (this.#digests.size > MOST_TENANTS) this.beginAgain([EVERY_TENANT])
  }

  has(tenant: string): boolean {
    return this.#digests.has(EVERY_TENANT) || this.#digests.has(tenantDigest(tenant))
  }

  /** On what was learned from these. */
  beginAgain(digests: Iterable<string>): void {
    this.#digests = new Set(digests)
  }

  /** As manifests say it. */
  get digests(): string[] {
    return [...this.#digests].toSorted()
  }
}
