import type { Logger } from '@plateau/telemetry'
import type { Admission } from '../admission.js'
import type { BoundedLabels } from '../bounded-labels.js'
import type { ServingConfig } from '../config.js'
import type { ServingMetrics } from '../serving-metrics.js'
import { Access } from './access.js'
import { KeysFile } from './keys-file.js'
import { Quotas } from './quotas.js'

export interface AccessParts {
  readonly logger: Logger
  readonly admission: Admission
  readonly metrics: ServingMetrics
  /** Names of tenants in metrics. */
  readonly tenants: BoundedLabels
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
}

/** Between two looks at the keys file. */
const LOOK_MS = 2_000

/** Access by the configuration; `close` stops looking at the keys file. Throws API_KEYS_INVALID. */
export async function startAccess(
  { apiKeysFile, capture }: Pick<ServingConfig, 'apiKeysFile' | 'capture'>,
  { logger, admission, metrics, tenants, nowMs }: AccessParts,
): Promise<{ readonly access: Access; readonly close: () => Promise<void> }> {
  const quotas = new Quotas({
    nowMs,
    responseMs: () => admission.responseMs,
    onRefused: (tenant, reason) => metrics.refused.add({ tenant: tenants.of(tenant), reason }),
  })
  if (apiKeysFile === undefined)
    return { access: new Access({ keys: undefined, capture, quotas }), close: async () => {} }
  const file = await KeysFile.open({ path: apiKeysFile, logger, intervalMs: LOOK_MS })
  logger.info('API keys read', { path: apiKeysFile, keys: file.keys.length })
  return { access: new Access({ keys: () => file.keys, capture, quotas }), close: () => file.close() }
}
