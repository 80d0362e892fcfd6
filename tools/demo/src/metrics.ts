/**
 * Sum of a Prometheus metric over its labels, read from a service's /metrics; 0 when it has no sample yet. Samples whose
 * labels contain `except` (for example 'arm="evaluation"') are left out.
 */
export async function metricSum(opsUrl: string, name: string, except?: string): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  const sample = new RegExp(`^${name}(\\{[^}]*\\})? (\\S+)`, 'gm')
  return [...text.matchAll(sample)]
    .filter((match) => except === undefined || !match[1]?.includes(except))
    .reduce((sum, match) => sum + Number(match[2]), 0)
}
