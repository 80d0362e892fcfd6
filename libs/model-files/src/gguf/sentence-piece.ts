/**
 * The merges of a SentencePiece vocabulary: every way to put a piece together from two others, best score first. This is
 * how transformers converts such vocabularies (generate_merges), so that byte-pair merging gives SentencePiece's result.
 * Ties go to longer left parts, then longer right parts (in code points), then to the vocabulary's order.
 */
export function mergesByScore(tokens: readonly string[], scores: readonly number[]): readonly string[] {
  const idOf = new Map(tokens.map((token, id) => [token, id]))
  const merges: Merge[] = []
  for (const [id, token] of tokens.entries()) merges.push(...waysTo(token, scores[id]!, idOf))
  return merges
    .toSorted((a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength)
    .map(({ left, right }) => `${left} ${right}`)
}

interface Merge {
  readonly left: string
  readonly right: string
  readonly leftLength: number
  readonly rightLength: number
  readonly score: number
}

function waysTo(token: string, score: number, idOf: ReadonlyMap<string, number>): Merge[] {
  const points = Array.from(token)
  const ways: Merge[] = []
  for (let leftLength = 1, at = 0; leftLength < points.length; leftLength++) {
    at += points[leftLength - 1]!.length
    const [left, right] = [token.slice(0, at), token.slice(at)]
    // Merges are written with a blank between their parts; pieces have U+2581 where text has a blank.
    if (!idOf.has(left) || !idOf.has(right) || token.includes(' ')) continue
    ways.push({ left, right, leftLength, rightLength: points.length - leftLength, score })
  }
  return ways.toSorted((a, b) => idOf.get(a.left)! - idOf.get(b.left)! || idOf.get(a.right)! - idOf.get(b.right)!)
}
