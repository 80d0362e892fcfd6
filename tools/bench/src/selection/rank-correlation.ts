/** Spearman's: the correlation of ranks, equal values sharing the mean of theirs. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)]
  const middle = (a.length - 1) / 2
  let [xy, xx, yy] = [0, 0, 0]
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [x[i]! - middle, y[i]! - middle]
    xy += dx * dy
    xx += dx * dx
    yy += dy * dy
  }
  return xy / Math.sqrt(xx * yy)
}

function ranks(values: readonly number[]): Float64Array {
  const order = [...values.keys()].sort((i, j) => values[i]! - values[j]!)
  const found = new Float64Array(values.length)
  for (let from = 0; from < order.length;) {
    let to = from + 1
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++
    for (let i = from; i < to; i++) found[order[i]!] = (from + to - 1) / 2
    from = to
  }
  return found
}
