const GOLDEN = (Math.sqrt(5) - 1) / 2

/**
 * The logit scale c at which `evaluate(c)` (mean alpha on positions that were not trained on) is largest: golden-section
 * search on log c. A draft's alpha rises and then falls with c; where it has several peaks one of them is found.
 */
export async function fitLogitScale(
  evaluate: (scale: number) => Promise<number>,
  { low = 0.3, high = 3, evaluations = 9 } = {},
): Promise<number> {
  let [a, b] = [Math.log(low), Math.log(high)]
  const at = (x: number): Promise<number> => evaluate(Math.exp(x))
  let left = b - GOLDEN * (b - a)
  let right = a + GOLDEN * (b - a)
  let [atLeft, atRight] = [await at(left), await at(right)]
  for (let done = 2; done < evaluations; done++) {
    if (atLeft >= atRight) {
      b = right
      ;[right, atRight] = [left, atLeft]
      left = b - GOLDEN * (b - a)
      atLeft = await at(left)
    } else {
      a = left
      ;[left, atLeft] = [right, atRight]
      right = a + GOLDEN * (b - a)
      atRight = await at(right)
    }
  }
  return Math.exp(atLeft >= atRight ? left : right)
}
