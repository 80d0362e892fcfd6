/** How metrics and acceptance records call a version: "17", or "spanish/17" where it is not of the server's first lineage. */
export function draftName(lineage: string, version: number, firstLineage: string): string {
  return lineage === firstLineage ? String(version) : `${lineage}/${version}`
}

/** Lineage and version of a name; what has no lineage of its own belongs to the first one. */
export function splitDraftName(
  name: string,
  firstLineage: string,
): { readonly lineage: string; readonly version: string } {
  const slash = name.lastIndexOf('/')
  return slash < 0
    ? { lineage: firstLineage, version: name }
    : { lineage: name.slice(0, slash), version: name.slice(slash + 1) }
}
