const BEGIN = /^<!-- generated: ([a-z-]+) -->$/
const END = '<!-- end -->'

/** `text` with every marked block replaced. Throws when a block has no text, a text no block, or a marker no end. */
export function replaceBlocks(path: string, text: string, blocks: ReadonlyMap<string, string>): string {
  const unused = new Set(blocks.keys())
  const out: string[] = []
  let inside: string | undefined
  for (const line of text.split('\n')) {
    const begins = BEGIN.exec(line)?.[1]
    if (begins !== undefined) {
      const block = blocks.get(begins)
      if (inside !== undefined) throw new Error(`${path}: block "${inside}" is not ended before "${begins}"`)
      if (block === undefined) throw new Error(`${path}: nobody writes the block "${begins}"`)
      out.push(line, block)
      unused.delete(begins)
      inside = begins
    } else if (line === END) {
      if (inside === undefined) throw new Error(`${path}: an end marker without a beginning`)
      out.push(line)
      inside = undefined
    } else if (inside === undefined) {
      out.push(line)
    }
  }
  if (inside !== undefined) throw new Error(`${path}: block "${inside}" is not ended`)
  if (unused.size > 0) throw new Error(`${path}: no place for ${[...unused].join(', ')}`)
  return out.join('\n')
}
