import { choice, defineConfig, existingFile, flag, list, optional, seconds, text, type Values } from '@plateau/config'
import { findCertificates, type CertificatePaths, type ServiceName } from '@plateau/mtls'
import { isLoopback } from '../loopback.js'

/** How `service` talks with the other services by gRPC: mutual TLS where the three files are named, plaintext otherwise. */
export function transportConfig(service: ServiceName, clock: () => number = Date.now) {
  return defineConfig(
    {
      tlsCertFile: optional(
        existingFile({
          env: 'PLATEAU_TLS_CERT_FILE',
          help: `Mutual TLS: the certificate (PEM, intermediates after it), of spiffe://<trust domain>/ns/<namespace>/sa/${service}. The three files are read again when they change.`,
        }),
      ),
      tlsKeyFile: optional(
        existingFile({ env: 'PLATEAU_TLS_KEY_FILE', help: 'Mutual TLS: the private key (PEM) of the certificate.' }),
      ),
      tlsCaFile: optional(
        existingFile({
          env: 'PLATEAU_TLS_CA_FILE',
          help: 'Mutual TLS: authorities (PEM) that the other services’ certificates come from.',
        }),
      ),
      trustDomain: optional(
        text({
          env: 'PLATEAU_TRUST_DOMAIN',
          help: 'Mutual TLS: the trust domain that every identity must be of. Default: that of our certificate.',
        }),
      ),
      trustedNamespaces: optional(
        list(
          text({
            env: 'PLATEAU_TRUSTED_NAMESPACES',
            help: 'Mutual TLS: namespaces whose service identities count. Default: that of our certificate.',
          }),
        ),
      ),
      maxConnectionAgeMs: seconds({
        env: 'PLATEAU_TLS_CONNECTION_SECONDS',
        default: 600,
        min: 0.1,
        max: 86_400,
        help: 'Mutual TLS: a connection is made again after so long, with the certificates of then; calls that run go on.',
      }),
      plaintext: choice({
        env: 'PLATEAU_PLAINTEXT',
        of: ['loopback', 'allowed'],
        default: 'loopback',
        help: 'Where gRPC may be served without TLS. loopback: to this machine only. allowed: anywhere; something else must keep strangers out.',
      }),
      grpcReflection: flag({
        env: 'PLATEAU_GRPC_REFLECTION',
        default: 'on',
        help: 'Whether gRPC servers describe themselves (grpcurl list) to whoever may connect.',
      }),
    },
    {
      refuse: [
        ({ tlsCertFile, tlsKeyFile, tlsCaFile }) => {
          const given = [tlsCertFile, tlsKeyFile, tlsCaFile].filter((file) => file !== undefined).length
          return given === 1 || given === 2
            ? 'PLATEAU_TLS_CERT_FILE, PLATEAU_TLS_KEY_FILE and PLATEAU_TLS_CA_FILE belong together: set all three or none'
            : undefined
        },
        ({ tlsCertFile, trustDomain, trustedNamespaces }) =>
          tlsCertFile === undefined && (trustDomain !== undefined || trustedNamespaces !== undefined)
            ? 'PLATEAU_TRUST_DOMAIN and PLATEAU_TRUSTED_NAMESPACES say who is trusted by certificates: they need PLATEAU_TLS_CERT_FILE'
            : undefined,
        (values) => {
          const paths = certificatePaths(values)
          if (paths === undefined) return undefined
          const found = findCertificates(paths, { service, trustDomain: values.trustDomain, nowMs: clock() })
          return found.ok ? undefined : found.problems.map((problem) => `PLATEAU_TLS_*: ${problem}`)
        },
      ],
    },
  )
}

export type TransportConfig = Values<ReturnType<typeof transportConfig>['fields']>

type CertificateSettings = Pick<TransportConfig, 'tlsCertFile' | 'tlsKeyFile' | 'tlsCaFile'>

/** Undefined: plaintext. */
export function certificatePaths(config: CertificateSettings): CertificatePaths | undefined {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsCaFile: caFile } = config
  return certFile === undefined || keyFile === undefined || caFile === undefined
    ? undefined
    : { certFile, keyFile, caFile }
}

/** Why a server must not listen at `address`, which the setting `env` names, as a refusal of a configuration says it. */
export function plaintextRefusal(
  env: string,
  address: string,
  { tlsCertFile, plaintext }: Pick<TransportConfig, 'tlsCertFile' | 'plaintext'>,
): string | undefined {
  return tlsCertFile !== undefined || plaintext === 'allowed' || isLoopback(address)
    ? undefined
    : `${env}=${address} is reached from other machines, in plaintext: name certificates (PLATEAU_TLS_CERT_FILE, PLATEAU_TLS_KEY_FILE, PLATEAU_TLS_CA_FILE), or set PLATEAU_PLAINTEXT=allowed where a network policy or a mesh keeps strangers out`
}
