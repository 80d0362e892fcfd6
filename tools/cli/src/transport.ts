import type { ChannelSettings } from '@plateau/rpc'
import type { ServiceName } from '@plateau/mtls'
import type { Context } from './command.js'
import { parseAsUsage, settingsOf } from './environment.js'

/**
 * How commands talk with services: by mutual TLS as `operator` where the environment names certificates, as it does for
 * services, else in plaintext. `close` lets go of the certificates.
 */
export async function openChannels(
  context: Context,
): Promise<{ readonly to: (service: ServiceName) => ChannelSettings; readonly close: () => void }> {
  // Imported late: help and mistakes need none of it.
  const { openTransport, transportConfig } = await import('@plateau/service-kit')
  const { silentLogger } = await import('@plateau/telemetry')
  const schema = transportConfig('operator', context.now)
  const config = parseAsUsage(() => schema.parse(settingsOf(context.environment, Object.values(schema.fields))))
  const transport = await openTransport(config, { service: 'operator', logger: silentLogger, clock: context.now })
  return { to: (service) => transport.client(service), close: () => transport.close() }
}
