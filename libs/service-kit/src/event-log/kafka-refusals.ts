import type { EventLogUrl, Secret } from '@plateau/config'

/** What the refusals look at. */
interface KafkaValues {
  readonly eventLog: EventLogUrl
  readonly kafkaTls: boolean
  readonly kafkaCaFile: string | undefined
  readonly kafkaCertFile: string | undefined
  readonly kafkaKeyFile: string | undefined
  readonly kafkaSasl: 'none' | 'scram-sha-512' | 'oauthbearer'
  readonly kafkaUsername: string | undefined
  readonly kafkaPassword: Secret | undefined
  readonly kafkaTokenFile: string | undefined
  readonly kafkaTokenEndpoint: string | undefined
  readonly kafkaClientId: string | undefined
  readonly kafkaClientSecret: Secret | undefined
  readonly wire: 'raw' | 'confluent'
  readonly schemaRegistry: string | undefined
}

type Refusal = (values: KafkaValues) => string | undefined

/** Combinations that cannot work, or that would quietly not do what they say. */
export const kafkaRefusals: readonly Refusal[] = [
  ({ eventLog, kafkaTls, kafkaSasl, wire }) =>
    eventLog.kind === 'kafka' || (!kafkaTls && kafkaSasl === 'none' && wire === 'raw')
      ? undefined
      : 'PLATEAU_KAFKA_TLS, PLATEAU_KAFKA_SASL and PLATEAU_WIRE say how to use Kafka, but PLATEAU_EVENT_LOG is an embedded log',
  ({ kafkaTls, kafkaCaFile, kafkaCertFile, kafkaKeyFile }) =>
    kafkaTls || (kafkaCaFile ?? kafkaCertFile ?? kafkaKeyFile) === undefined
      ? undefined
      : 'PLATEAU_KAFKA_CA_FILE, PLATEAU_KAFKA_CERT_FILE and PLATEAU_KAFKA_KEY_FILE need PLATEAU_KAFKA_TLS=on',
  ({ kafkaCertFile, kafkaKeyFile }) =>
    (kafkaCertFile === undefined) === (kafkaKeyFile === undefined)
      ? undefined
      : 'PLATEAU_KAFKA_CERT_FILE and PLATEAU_KAFKA_KEY_FILE belong together: set both or neither',
  ({ kafkaSasl, kafkaUsername, kafkaPassword }) => {
    const given = [kafkaUsername, kafkaPassword].filter((value) => value !== undefined).length
    if (kafkaSasl === 'scram-sha-512') {
      return given === 2
        ? undefined
        : 'PLATEAU_KAFKA_SASL=scram-sha-512 needs PLATEAU_KAFKA_USERNAME and PLATEAU_KAFKA_PASSWORD (or PLATEAU_KAFKA_PASSWORD_FILE)'
    }
    return given === 0
      ? undefined
      : 'PLATEAU_KAFKA_USERNAME and PLATEAU_KAFKA_PASSWORD need PLATEAU_KAFKA_SASL=scram-sha-512'
  },
  ({ kafkaSasl, kafkaTokenFile, kafkaTokenEndpoint }) => {
    const given = [kafkaTokenFile, kafkaTokenEndpoint].filter((value) => value !== undefined).length
    if (kafkaSasl !== 'oauthbearer') {
      return given === 0
        ? undefined
        : 'PLATEAU_KAFKA_TOKEN_FILE and PLATEAU_KAFKA_TOKEN_ENDPOINT need PLATEAU_KAFKA_SASL=oauthbearer'
    }
    return given === 1
      ? undefined
      : 'PLATEAU_KAFKA_SASL=oauthbearer needs one of PLATEAU_KAFKA_TOKEN_FILE and PLATEAU_KAFKA_TOKEN_ENDPOINT'
  },
  ({ kafkaTokenEndpoint, kafkaClientId, kafkaClientSecret }) => {
    const given = [kafkaClientId, kafkaClientSecret].filter((value) => value !== undefined).length
    return given === (kafkaTokenEndpoint === undefined ? 0 : 2)
      ? undefined
      : 'PLATEAU_KAFKA_TOKEN_ENDPOINT, PLATEAU_KAFKA_CLIENT_ID and PLATEAU_KAFKA_CLIENT_SECRET belong together'
  },
  ({ kafkaTokenEndpoint, schemaRegistry }) => {
    const [wrong] = Object.entries({
      PLATEAU_KAFKA_TOKEN_ENDPOINT: kafkaTokenEndpoint,
      PLATEAU_SCHEMA_REGISTRY: schemaRegistry,
    }).filter(([, url]) => url !== undefined && !isHttpUrl(url))
    return wrong && `${wrong[0]}=${JSON.stringify(wrong[1])} is not an http or https URL`
  },
  ({ wire, schemaRegistry }) =>
    (wire === 'confluent') === (schemaRegistry !== undefined)
      ? undefined
      : 'PLATEAU_WIRE=confluent and PLATEAU_SCHEMA_REGISTRY belong together: set both or neither',
]

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
