import type { DeclaredMetric, Metrics, Point } from '@plateau/telemetry'

type Declared = ReadonlyMap<string, DeclaredMetric>
type Numbers = Extract<DeclaredMetric, { readonly kind: 'counter' | 'gauge' }>

/** vLLM's reasons for how we say that requests ended; what was refused before it began is none of them. */
const FINISHED_REASONS: Readonly<Record<string, string>> = {
  stop: 'stop',
  length: 'length',
  cancelled: 'abort',
  failed: 'error',
}

/**
 * Shows serving's metrics under vLLM's names too (its docs/usage/metrics.md and vllm/v1/spec_decode/metrics.py), for
 * dashboards that know those. Tenants and draft versions are summed, copies from the text with them.
 */
export function aliasForVllm(metrics: Metrics, model: string): void {
  const engine = { model_name: model, engine: '0' }
  const sum = (name: string, from: string, keep: Keep = () => ({})) =>
    sumOf(name, from, (labels) => {
      const kept = keep(labels)
      return kept === undefined ? undefined : { ...engine, ...kept }
    })
  const aliases = [
    sum('vllm:spec_decode_num_drafts_total', 'plateau_spec_decode_num_drafts_total'),
    sum('vllm:spec_decode_num_draft_tokens_total', 'plateau_spec_decode_num_draft_tokens_total'),
    sum('vllm:spec_decode_num_accepted_tokens_total', 'plateau_spec_decode_num_accepted_tokens_total'),
    sum(
      'vllm:spec_decode_num_accepted_tokens_per_pos_total',
      'plateau_spec_decode_num_accepted_tokens_per_pos_total',
      ({ position = '' }) => ({ position }),
    ),
    sum('vllm:num_requests_running', 'plateau_requests_running'),
    sum('vllm:num_requests_waiting', 'plateau_requests_waiting'),
    sum('vllm:prompt_tokens_total', 'plateau_prompt_tokens_total'),
    sum('vllm:generation_tokens_total', 'plateau_generation_tokens_total'),
    sum('vllm:request_success_total', 'plateau_requests_total', ({ outcome = '' }) => {
      const reason = FINISHED_REASONS[outcome]
      return reason === undefined ? undefined : { finished_reason: reason }
    }),
    histogramOf('vllm:time_to_first_token_seconds', 'plateau_time_to_first_token_seconds', engine),
    histogramOf('vllm:inter_token_latency_seconds', 'plateau_inter_token_latency_seconds', engine),
  ]
  metrics.alias((declared) => aliases.flatMap((alias) => alias(declared)))
}

type Labels = Readonly<Record<string, string>>
/** The labels that a series is summed under; undefined: it is left out. */
type Keep = (labels: Labels) => Labels | undefined

function sumOf(name: string, from: string, keep: Keep): (declared: Declared) => DeclaredMetric[] {
  return (declared) => {
    const metric = declared.get(from)
    if (metric === undefined || metric.kind === 'histogram') return []
    return [{ kind: metric.kind, spec: { name, help: metric.spec.help }, collect: () => summed(metric, keep) }]
  }
}

function summed(metric: Numbers, keep: Keep): Point<number>[] {
  const sums = new Map<string, { labels: Labels; value: number }>()
  for (const { labels, value } of metric.collect()) {
    const kept = keep(labels)
    if (kept === undefined) continue
    const key = JSON.stringify(kept)
    const sum = sums.get(key)
    if (sum === undefined) sums.set(key, { labels: kept, value })
    else sum.value += value
  }
  return [...sums.values()]
}

function histogramOf(name: string, from: string, labels: Labels): (declared: Declared) => DeclaredMetric[] {
  return (declared) => {
    const metric = declared.get(from)
    if (metric?.kind !== 'histogram') return []
    const collect = () => Array.from(metric.collect(), ({ value }) => ({ labels, value }))
    return [{ kind: 'histogram', spec: { name, help: metric.spec.help }, buckets: metric.buckets, collect }]
  }
}
