import { EVERY_TENANT, MANIFEST_FILE, tenantDigest, versionPath, type CheckpointStore } from '@plateau/checkpoints'
import { PlateauError } from '@plateau/contracts'

/**
 * Whether a version's weights go back to a tenant's windows: yes, by gradient steps or by the closed form's sums; no; or
 * nobody knows, and why.
 */
export type Knowledge =
  | { readonly kind: 'used'; readonly by: readonly ('gradients' | 'closed form')[] }
  | { readonly kind: 'not used' }
  | { readonly kind: 'unknown'; readonly why: string }

const MAX_MANIFEST_BYTES = 1024 * 1024

/** What the store's manifest of a version says. A manifest that was tampered with is one that serving does not load. */
export async function knowledgeOf(
  store: Pick<CheckpointStore, 'read'>,
  lineage: string,
  version: number,
  tenant: string,
): Promise<Knowledge> {
  const manifest = await readManifest(store, `${versionPath(lineage, version)}/${MANIFEST_FILE}`)
  if (manifest === undefined) return { kind: 'unknown', why: 'it is not in the checkpoint store any more' }
  const { gradientTenants, sumTenants } = manifest
  if (!isList(gradientTenants) || !isList(sumTenants)) {
    return { kind: 'unknown', why: 'it was written before manifests named tenants' }
  }
  const digest = tenantDigest(tenant)
  const lists = [
    ['gradients', gradientTenants],
    ['closed form', sumTenants],
  ] as const
  const by = lists.flatMap(([stage, tenants]) => (tenants.includes(digest) ? [stage] : []))
  if (by.length > 0) return { kind: 'used', by }
  const anybody = lists.find(([, tenants]) => tenants.includes(EVERY_TENANT))
  if (anybody !== undefined) return { kind: 'unknown', why: `too many tenants to be named are in its ${anybody[0]}` }
  return { kind: 'not used' }
}

async function readManifest(
  store: Pick<CheckpointStore, 'read'>,
  path: string,
): Promise<Record<string, unknown> | undefined> {
  try {
    return JSON.parse((await store.read(path, MAX_MANIFEST_BYTES)).toString('utf8')) as Record<string, unknown>
  } catch (error) {
    if (error instanceof PlateauError && error.code === 'CHECKPOINT_NOT_FOUND') return undefined
    throw error
  }
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value)
}
