import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import type { KubernetesObject } from './kubernetes-objects.js'
import { schemasDirectory } from '../paths.js'

/** CRDs have Go's regular expressions, in which a flag stands inside: "^(?i)(abort|warn)?$". */
const goRegExp = Object.assign(
  (pattern: string, flags: string) =>
    new RegExp(pattern.replace('(?i)', ''), pattern.includes('(?i)') ? `${flags}i` : flags),
  { code: 'goRegExp' },
)

// Kubernetes' formats (int32, int-or-string) say how numbers are stored, not what is allowed.
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, code: { regExp: goRegExp } })
const compiled = new Map<string, ValidateFunction>()

/** Where an object is not as its kind's strict schema says; a kind without a schema is a mistake. */
export function schemaViolations(object: KubernetesObject): string[] {
  const validate = schemaOf(object)
  const isValid: boolean = validate(object)
  if (isValid) return []
  return (validate.errors ?? []).map(({ instancePath, message, params }) => {
    const extra = 'additionalProperty' in params ? ` (${String(params['additionalProperty'])})` : ''
    return `${object.kind} ${object.metadata.name}${instancePath}: ${message}${extra}`
  })
}

function schemaOf({ kind, apiVersion }: KubernetesObject): ValidateFunction {
  const name = schemaFile(kind, apiVersion)
  const found = compiled.get(name)
  if (found !== undefined) return found
  const made = ajv.compile(JSON.parse(readFileSync(join(schemasDirectory, name), 'utf8')) as object)
  compiled.set(name, made)
  return made
}

/** deployment-apps-v1.json: kind, first word of the group, version. */
function schemaFile(kind: string, apiVersion: string): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : [undefined, apiVersion]
  return [kind.toLowerCase(), group?.split('.')[0], version].filter((part) => part !== undefined).join('-') + '.json'
}
