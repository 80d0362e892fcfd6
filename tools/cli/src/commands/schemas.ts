import { readFile } from 'node:fs/promises'
import { messageOf, PlateauError } from '@plateau/contracts'
import { command, type Context } from '../command.js'
import { text, value } from '../option.js'
import { publicSchemas, type PublicSchema } from '../registry/public-schemas.js'
import { RegistryClient } from '../registry/registry-client.js'
import { table } from '../table.js'
import { UsageError } from '../usage-error.js'

interface Row {
  readonly topic: string
  readonly subject: string
  readonly messageIndex: number
  readonly id: number | undefined
  readonly version: number | undefined
  readonly state: 'registered' | 'unchanged' | 'missing' | 'behind' | 'incompatible' | 'refused'
  readonly why: string | undefined
}

const options = {
  registry: value('URL', 'the registry; default: PLATEAU_SCHEMA_REGISTRY', text),
  'auth-file': value('FILE', 'holds user:password for basic authentication', text),
  proto: value('DIR', "where the .proto files lie; default: this repository's", text),
}

export const schemasRegister = command({
  name: 'schemas register',
  summary: "register every public topic's schema with a Confluent-compatible registry",
  details: `
Subject <topic>-value, type PROTOBUF, the text of the topic's .proto file. What is there already stays
as it is. A registry that finds a schema incompatible refuses it; exit code 1 then. The id and the
message index are what PLATEAU_WIRE=confluent puts in front of values.`,
  options,
  run: (context, given) =>
    eachSchema(context, given, async (client, schema) => {
      const found = await client.find(schema.subject, schema.text)
      if (found !== undefined) return row(schema, 'unchanged', found)
      try {
        return row(schema, 'registered', await client.register(schema.subject, schema.text))
      } catch (error) {
        if (!(error instanceof PlateauError) || error.code !== 'SCHEMA_REFUSED') throw error
        return row(schema, 'refused', undefined, messageOf(error))
      }
    }),
})

export const schemasCheck = command({
  name: 'schemas check',
  summary: 'whether the registry has the schemas of this build; changes nothing',
  details: `
missing: no such subject. behind: this build's schema is newer and compatible. incompatible: it is
newer and the registry would refuse it. Exit code 1 unless all are registered.`,
  options,
  run: (context, given) =>
    eachSchema(context, given, async (client, schema) => {
      const found = await client.find(schema.subject, schema.text)
      if (found !== undefined) return row(schema, 'unchanged', found)
      const compatibility = await client.compatibility(schema.subject, schema.text)
      if (compatibility === undefined) return row(schema, 'missing')
      if (compatibility.isCompatible) return row(schema, 'behind')
      return row(schema, 'incompatible', undefined, compatibility.messages.join('; '))
    }),
})

interface Given {
  readonly registry: string | undefined
  readonly 'auth-file': string | undefined
  readonly proto: string | undefined
}

async function eachSchema(
  context: Context,
  { registry, 'auth-file': authFile, proto }: Given,
  judge: (client: RegistryClient, schema: PublicSchema) => Promise<Row>,
): Promise<0 | 1> {
  const credentials = authFile === undefined ? undefined : (await readFile(authFile, 'utf8')).trim()
  const client = new RegistryClient(registryUrl(registry, context), credentials)
  const rows: Row[] = []
  // One after the other: a subject's version follows from what was there before.
  for (const schema of publicSchemas(proto)) rows.push(await judge(client, schema))
  context.report({ json: rows, text: rowTable(rows) })
  return rows.every(({ state }) => state === 'registered' || state === 'unchanged') ? 0 : 1
}

function registryUrl(given: string | undefined, { environment }: Context): string {
  const url = given ?? environment['PLATEAU_SCHEMA_REGISTRY']
  if (!url) throw new UsageError('--registry URL is missing, and PLATEAU_SCHEMA_REGISTRY is not set')
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new UsageError(`--registry "${url}" is no http or https URL`)
  return url
}

function row(
  { topic, subject, messageIndex }: PublicSchema,
  state: Row['state'],
  found?: { readonly id: number; readonly version: number },
  why?: string,
): Row {
  return { topic, subject, messageIndex, id: found?.id, version: found?.version, state, why }
}

function rowTable(rows: readonly Row[]): string {
  return table(
    ['subject', 'id', 'version', 'message index', 'state', 'why'],
    rows.map(({ subject, id, version, messageIndex, state, why }) => [
      subject,
      id,
      version,
      messageIndex,
      state === 'unchanged' ? 'registered before' : state,
      why ?? '',
    ]),
  )
}
