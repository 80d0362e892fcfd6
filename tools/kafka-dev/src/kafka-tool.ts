/** Kafka's own command line tools, run to their end. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KafkaBroker } from './broker.js'
import { resolveKafka } from './jars.js'
import { javaOrRefuse, runProgram } from './java.js'
import { log4jProperties } from './server-properties.js'

export interface KafkaToolOptions {
  /** Default: 256. */
  readonly heapMb?: number
  /** More for the Java command line, such as `-XX:TieredStopAtLevel=1` for a short run. */
  readonly jvmOptions?: readonly string[]
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Runs a tool by its main class, such as `org.apache.kafka.tools.ProducerPerformance`; its standard output. */
export async function runKafkaTool(
  mainClass: string,
  args: readonly string[],
  options: KafkaToolOptions = {},
): Promise<string> {
  const libs = await resolveKafka({ signal: options.signal })
  const scratch = mkdtempSync(join(tmpdir(), 'kafka-tool-'))
  const log4j = join(scratch, 'log4j2.properties')
  writeFileSync(log4j, log4jProperties('SYSTEM_ERR', 'warn'))
  const jvm = [`-Xmx${options.heapMb ?? 256}m`, '-XX:+UseSerialGC', ...(options.jvmOptions ?? [])]
  const where = [`-Dlog4j2.configurationFile=${log4j}`, '-cp', join(libs, '*')]
  try {
    return await runProgram(javaOrRefuse(), [...jvm, ...where, mainClass, ...args], {
      signal: options.signal,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    })
  } finally {
    if (existsSync(scratch)) rmSync(scratch, { recursive: true })
  }
}

export interface Acl {
  /** Who may. */
  readonly user: string
  /** As Kafka names them: Read, Write, Describe, Create, DescribeConfigs, IdempotentWrite, All, ... */
  readonly operations: readonly string[]
  /** On what; several at once need operations that fit all of them. */
  readonly topic?: string
  readonly group?: string
  readonly transactionalId?: string
  readonly cluster?: boolean
  /** The names given are beginnings of names. */
  readonly prefixed?: boolean
}

/** Grants rights on a `sasl_ssl` broker. It takes a Java start, one to two seconds. */
export async function addAcl(broker: KafkaBroker, acl: Acl): Promise<void> {
  const option = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value])
  await runKafkaTool(
    'org.apache.kafka.tools.AclCommand',
    [
      '--add',
      ...option('--bootstrap-server', broker.bootstrap),
      ...option('--command-config', broker.clientPropertiesFile),
      ...option('--allow-principal', `User:${acl.user}`),
      ...acl.operations.flatMap((operation) => ['--operation', operation]),
      ...option('--topic', acl.topic),
      ...option('--group', acl.group),
      ...option('--transactional-id', acl.transactionalId),
      ...(acl.cluster === true ? ['--cluster'] : []),
      ...(acl.prefixed === true ? ['--resource-pattern-type', 'prefixed'] : []),
    ],
    { jvmOptions: ['-XX:TieredStopAtLevel=1'] },
  )
}
