import { messageOf, PlateauError } from '@plateau/contracts'

const TIMEOUT_MS = 10_000

/** By topic: the registry's id of the newest schema of its values (subject <topic>-value). Throws when one is not there. */
export async function latestSchemaIds(registry: string, topics: readonly string[]): Promise<Map<string, number>> {
  const ids = topics.map(async (topic) => [topic, await latestSchemaId(registry, topic)] as const)
  return new Map(await Promise.all(ids))
}

async function latestSchemaId(registry: string, topic: string): Promise<number> {
  const subject = `${topic}-value`
  const url = `${registry.replace(/\/+$/, '')}/subjects/${encodeURIComponent(subject)}/versions/latest`
  const facts = { url, subject }
  const fail = (code: string, why: string, cause?: unknown) =>
    new PlateauError(code, `The schema registry at ${registry} ${why}`, { facts, cause })
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (thrown) {
    throw fail('SCHEMA_REGISTRY_UNAVAILABLE', `cannot be reached: ${causeOf(thrown)}`, thrown)
  }
  if (response.status === 404) {
    throw fail('SCHEMA_NOT_REGISTERED', `does not know ${subject}: register it with \`plateau schemas register\`.`)
  }
  if (!response.ok) {
    throw fail('SCHEMA_REGISTRY_UNAVAILABLE', `answered ${response.status} when asked for ${subject}.`)
  }
  const answer = (await response.json().catch(() => undefined)) as { readonly id?: unknown } | null | undefined
  const id = answer?.id
  if (typeof id === 'number' && Number.isInteger(id)) return id
  throw fail('SCHEMA_REGISTRY_UNAVAILABLE', `answered without an id when asked for ${subject}.`)
}

/** fetch says only "fetch failed"; what happened is in its cause. */
function causeOf(thrown: unknown): string {
  return messageOf(thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown)
}
