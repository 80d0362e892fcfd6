/** Sum of a Prometheus metric over its labels, read from a service's /metrics; 0 when it has no sample yet. */
export async function metricSum(opsUrl: string, name: string): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  const sample = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm')
  return [...text.matchAll(sample)].reduce((sum, match) => sum + Number(match[1]), 0)
}
