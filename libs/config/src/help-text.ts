import type { Field } from './field.js'

export function helpText(service: string, fields: Readonly<Record<string, Field<unknown>>>): string {
  const lines = [`${service} reads its settings from the environment:`, '']
  for (const field of Object.values(fields)) {
    lines.push(`  ${field.secret ? `${field.env} or ${field.env}_FILE` : field.env}`)
    lines.push(`      ${field.help}`)
    lines.push(`      ${field.allowed}; ${standing(field)}`)
  }
  return `${lines.join('\n')}\n`
}

function standing(field: Field<unknown>): string {
  if (field.secret && field.defaultText !== undefined) return 'has a default'
  if (field.defaultText !== undefined) return `default ${field.defaultText}`
  return field.required ? 'required' : 'optional'
}
