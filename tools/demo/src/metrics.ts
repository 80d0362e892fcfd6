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

/** A Prometheus metric's samples by the value of one label. */
export async function metricByLabel(opsUrl: string, name: string, label: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  const sample = new RegExp(`^${name}\\{[^}]*\\b${label}="([^"]*)"[^}]*\\} (\\S+)`, 'gm')
  return new Map([...text.matchAll(sample)].map((match) => [match[1]!, Number(match[2])]))
}
