/** Replaces each `{{expression}}` of a page: by the block of that name, or else by the figure, which throws if it is none. */
export function fill(
  page: string,
  blocks: ReadonlyMap<string, string>,
  figure: (expression: string) => string,
): string {
  return page.replaceAll(/\{\{([^{}]+)\}\}/g, (_, expression: string) => {
    const name = expression.trim()
    return blocks.get(name) ?? figure(name)
  })
}
