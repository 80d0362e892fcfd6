import { encodeHeaders, PlateauError, SelectionPolicy, topics } from '@plateau/contracts'
import { readUpToNow } from '@plateau/event-log'
import { keepRule, ruleName } from '@plateau/flatness'
import { command, type Context } from '../command.js'
import { required, text, value } from '../option.js'
import { table } from '../table.js'

const topic = topics.selectionPolicy

export const policy = command({
  name: 'policy',
  summary: 'the selection policy in force for each lineage, what it gains over chance, and why',
  details: 'A lineage that is not listed is scored by the settings of its scorers.',
  options: { lineage: value('L', 'only this one', text) },
  run: async (context, options) => {
    const inForce = [...(await policiesInForce(context)).values()]
    const chosen = inForce.filter(({ lineage }) => options.lineage === undefined || lineage === options.lineage)
    context.report({ json: chosen, text: policyText(chosen) })
    return 0
  },
})

export const policyClear = command({
  name: 'policy clear',
  summary: "withdraws a lineage's selection policy: its scorers go back to their own settings",
  details: 'A trainer with PLATEAU_LEARN_POLICY=on publishes its own again when it has learned something new.',
  options: { lineage: required('L', "which draft's line of versions", text) },
  run: async (context, { lineage }) => {
    const log = await context.openLog()
    if (!(await policiesInForce(context)).has(lineage)) {
      context.report({ json: { lineage, cleared: false }, text: `lineage ${lineage} has no policy\n` })
      return 1
    }
    const atMs = context.now()
    const headers = encodeHeaders({
      id: `${lineage}/cleared/${atMs}`,
      source: '/plateau/cli',
      type: topic.messageType,
      timeMs: atMs,
    })
    const producer = log.producer()
    try {
      await producer.send(topic.name, [{ key: lineage, value: null, headers }])
    } finally {
      await producer.close()
    }
    const said = `lineage ${lineage} has no policy now: its scorers go by their own settings\n`
    context.report({ json: { lineage, cleared: true }, text: said })
    return 0
  },
})

/** By lineage; the newest record of each counts, and one without a value ends it. */
async function policiesInForce(context: Context): Promise<Map<string, SelectionPolicy>> {
  const log = await context.openLog()
  const found = new Map<string, SelectionPolicy>()
  try {
    for await (const { records } of readUpToNow(log.reader({ topic: topic.name, from: 'earliest' }), context.signal)) {
      for (const { key, value: encoded } of records) {
        if (key === null) continue
        if (encoded === null) found.delete(key)
        else found.set(key, SelectionPolicy.decode(encoded))
      }
    }
  } catch (error) {
    if (!(error instanceof PlateauError) || error.code !== 'UNKNOWN_TOPIC') throw error
  }
  return found
}

function policyText(policies: readonly SelectionPolicy[]): string {
  if (policies.length === 0) return 'no policy is in force: scorers go by their own settings\n'
  const rows = policies.map((record) => [
    record.lineage,
    new Date(record.atMs).toISOString(),
    ruleOf(record),
    record.closedFormWeight,
    gainOf(record, 'closed-form'),
    gainOf(record, 'gradients'),
  ])
  const heads = [
    'lineage',
    'since',
    'gradients use',
    'closed form weighs',
    'gain, closed form',
    'gain, gradients / 10,000',
  ]
  const why = policies.map(({ lineage, evidence }) => `${lineage}: ${evidence}`)
  return `${table(heads, rows)}\n${why.join('\n')}\n`
}

/** As decisions name it; as it stands there where this build does not know the rule. */
function ruleOf(record: SelectionPolicy): string {
  try {
    return ruleName(keepRule(record))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return `${record.strategy}(keep=${record.keep})`
  }
}

/** With its interval of 95 %. */
function gainOf({ gains }: SelectionPolicy, stage: string): string | undefined {
  const measured = gains.find((gain) => gain.stage === stage)
  if (measured === undefined) return undefined
  return `${measured.gain < 0 ? '' : '+'}${measured.gain.toFixed(4)} ± ${(1.96 * measured.standardError).toFixed(4)}`
}
