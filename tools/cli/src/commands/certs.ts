import { messageOf, PlateauError } from '@plateau/contracts'
import { existsSync } from 'node:fs'
import { command } from '../command.js'
import { defaulted, required, text, value, wholeNumber } from '../option.js'
import { table } from '../table.js'
import { UsageError } from '../usage-error.js'

const dir = required('DIR', 'where the authority and the certificates are', text)

export const certsIssue = command({
  name: 'certs issue',
  summary: 'makes certificates for mutual TLS between services, for development and where there is no cert-manager',
  details: `
Writes DIR/ca.crt and DIR/ca.key once, and DIR/SERVICE with tls.crt, tls.key and ca.crt for each service, as a
Kubernetes secret has them. Run it again to renew: the authority stays, services take the new certificates
within seconds. Keep ca.key where no service can read it; who has it can be any of them.
A service finds its own by PLATEAU_TLS_CERT_FILE, PLATEAU_TLS_KEY_FILE and PLATEAU_TLS_CA_FILE; commands of
plateau by the same settings, with those of "operator". Peers know each other by SPIFFE id. Host names
(--hosts) are for other tools: where a certificate has any, clients compare them as well.`,
  options: {
    dir,
    'trust-domain': defaulted('NAME', 'trust domain of the identities', text, 'plateau.local'),
    namespace: defaulted('NAME', 'namespace of the identities', text, 'plateau'),
    services: value('LIST', 'whose certificates, with commas between; default: all of them and operator', text),
    hosts: value('LIST', 'DNS names and addresses that every certificate names too, with commas between', text),
    days: defaulted('N', 'how long certificates are valid', wholeNumber(1), '30'),
    'ca-days': defaulted('N', 'how long a new authority is valid', wholeNumber(1), '365'),
  },
  run: async (context, options) => {
    const { issueInto } = await import('@plateau/dev-certificates')
    const { parseSpiffeId, serviceNames, spiffeId } = await import('@plateau/mtls')
    const [trustDomain, namespace] = [options['trust-domain'], options.namespace]
    const names = options.services === undefined ? serviceNames : listOf(options.services)
    const unknown = names.filter((name) => !(serviceNames as readonly string[]).includes(name))
    if (unknown.length > 0)
      throw new UsageError(`--services: there is no ${unknown.join(', ')}; services are ${serviceNames.join(', ')}`)
    const holders = names.map((service) => ({
      name: service,
      uris: [spiffeId({ trustDomain, namespace, service })],
      hosts: listOf(options.hosts ?? ''),
    }))
    const wrong = holders.find(({ uris }) => parseSpiffeId(uris[0]!) === undefined)
    if (wrong !== undefined)
      throw new UsageError(`${wrong.uris[0]} is no identity: names have small letters, digits and "-"`)
    await issueInto(options.dir, holders, {
      authorityName: `${trustDomain} authority`,
      authorityDays: options['ca-days'],
      days: options.days,
      nowMs: context.now(),
    }).catch((cause: unknown) => {
      throw new PlateauError('CERTIFICATES_NOT_ISSUED', `no certificates in ${options.dir}: ${messageOf(cause)}`, {
        cause,
      })
    })
    const issued = holders.map(({ name, uris }) => ({ service: name, identity: uris[0]! }))
    context.report({
      json: { directory: options.dir, issued },
      text: table(
        ['service', 'identity'],
        issued.map(({ service, identity }) => [service, identity]),
      ),
    })
    return 0
  },
})

export const certsList = command({
  name: 'certs list',
  summary: 'the certificates that certs issue made: identity, end, and what is wrong with each',
  options: { dir },
  run: async (context, options) => {
    const { holderFiles } = await import('@plateau/dev-certificates')
    const { findCertificates, serviceNames, spiffeId } = await import('@plateau/mtls')
    const present = serviceNames.filter((name) => existsSync(holderFiles(options.dir, name).certFile))
    if (present.length === 0)
      throw new PlateauError(
        'CERTIFICATES_MISSING',
        `there are no certificates in ${options.dir}: plateau certs issue makes them`,
      )
    const found = present.map((service) => {
      const expected = { service, trustDomain: undefined, nowMs: context.now() }
      const result = findCertificates(holderFiles(options.dir, service), expected)
      return result.ok
        ? {
            service,
            identity: spiffeId(result.checked.identity),
            until: new Date(result.checked.notAfterMs).toISOString(),
          }
        : { service, problems: result.problems }
    })
    const rows = found.map(({ service, identity, until, problems }) => [
      service,
      identity,
      until,
      problems?.join('; ') ?? 'ok',
    ])
    context.report({ json: found, text: table(['service', 'identity', 'valid until', ''], rows) })
    return found.some(({ problems }) => problems !== undefined) ? 1 : 0
  },
})

function listOf(given: string): string[] {
  return given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
