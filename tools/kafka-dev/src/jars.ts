/** Kafka's jars: fetched once with Maven into the user's cache, used by every broker and tool afterwards. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { KafkaDevError } from './errors.js'
import { javaCommand, javaVersionText, oldestJava, onPath, parseJavaMajor, runProgram } from './java.js'
import { withLock } from './lock.js'

export const kafkaVersion = '4.4.0'
const log4jVersion = '2.26.1'

export interface ResolveOptions {
  /** Told one line before a download, and one after it. Default: standard error. */
  readonly onProgress?: ((line: string) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** The folder that holds Kafka's jars; fetches them (about 44 MB) when this machine has none yet. */
export async function resolveKafka(options: ResolveOptions = {}): Promise<string> {
  refuseWhenUnavailable()
  const libs = libsFolder()
  if (isComplete(libs)) return libs
  return withLock(
    join(cacheFolder(), 'fetching.lock'),
    async () => {
      if (!isComplete(libs)) await fetchJars(libs, options)
      return libs
    },
    { signal: options.signal },
  )
}

/** Why no broker can be had on this machine, in one sentence; undefined when one can. */
export function kafkaUnavailable(): string | undefined {
  const told = process.env['KAFKA_DEV_UNAVAILABLE']
  if (told !== undefined && told !== '') return told
  const java = javaCommand()
  if (java === undefined) return `no java on the path: Kafka ${kafkaVersion} needs Java ${oldestJava} or newer`
  const major = parseJavaMajor(javaVersionText(java))
  if (major < oldestJava) return `${java} is Java ${major}: Kafka ${kafkaVersion} needs Java ${oldestJava} or newer`
  if (!isComplete(libsFolder()) && onPath('mvn') === undefined)
    return `no mvn on the path, which is needed once to fetch Kafka ${kafkaVersion} into ${cacheFolder()}`
  return undefined
}

export function refuseWhenUnavailable(): void {
  const reason = kafkaUnavailable()
  if (reason !== undefined) throw new KafkaDevError('UNAVAILABLE', reason)
}

/** Whether the jars are here already, so that a start needs no network. */
export function kafkaIsCached(): boolean {
  return isComplete(libsFolder())
}

function cacheFolder(): string {
  const given = process.env['KAFKA_DEV_CACHE']
  if (given !== undefined && given !== '') return given
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'plateau-kafka')
}

const libsFolder = () => join(cacheFolder(), `kafka-${kafkaVersion}-log4j-${log4jVersion}`)

const isComplete = (libs: string) => existsSync(join(libs, '.complete'))

/** Maven copies beside the final folder and a rename puts it in place: a torn download is never taken for a cache. */
async function fetchJars(libs: string, { onProgress = toStderr, signal }: ResolveOptions): Promise<void> {
  const draft = join(cacheFolder(), 'fetching')
  rmSync(draft, { recursive: true, force: true })
  rmSync(libs, { recursive: true, force: true })
  mkdirSync(join(draft, 'libs'), { recursive: true })
  writeFileSync(join(draft, 'pom.xml'), pom())
  onProgress(`fetching Kafka ${kafkaVersion} into ${libs} (once, about 44 MB)`)
  const startMs = performance.now()
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${join(draft, 'libs')}`]
  try {
    await runProgram('mvn', ['-B', '-q', '-f', join(draft, 'pom.xml'), ...goal], { signal, timeoutMs: 600_000 })
  } catch (cause) {
    throw new KafkaDevError('FAILED', `Maven could not fetch Kafka ${kafkaVersion}; is there a network?`, { cause })
  }
  if (!existsSync(join(draft, 'libs', `kafka_2.13-${kafkaVersion}.jar`)))
    throw new KafkaDevError('FAILED', `Maven left no broker jar in ${draft}`)
  writeFileSync(join(draft, 'libs', '.complete'), '')
  renameSync(join(draft, 'libs'), libs)
  rmSync(draft, { recursive: true, force: true })
  onProgress(`Kafka ${kafkaVersion} fetched in ${((performance.now() - startMs) / 1000).toFixed(0)} s`)
}

function toStderr(line: string): void {
  process.stderr.write(`kafka-dev: ${line}\n`)
}

function pom(): string {
  const dependency = (group: string, artifact: string, version: string, without: readonly string[] = []) => {
    const exclusions = without.map(
      (a) => `<exclusion><groupId>${group}</groupId><artifactId>${a}</artifactId></exclusion>`,
    )
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>
      <exclusions>${exclusions.join('')}</exclusions></dependency>`
  }
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local.dev</groupId><artifactId>kafka-dev-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependency('org.apache.kafka', 'kafka_2.13', kafkaVersion)}
    <!-- The command line tools, without Kafka Connect and the web server that it brings. -->
    ${dependency('org.apache.kafka', 'kafka-tools', kafkaVersion, ['connect-runtime', 'connect-api', 'connect-json'])}
    <!-- Kafka 4 speaks slf4j 1.7: log4j-slf4j-impl, not log4j-slf4j2-impl. -->
    ${dependency('org.apache.logging.log4j', 'log4j-core', log4jVersion)}
    ${dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', log4jVersion)}
  </dependencies>
</project>
`
}
