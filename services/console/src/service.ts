import type { ServiceSpec } from '@plateau/service-kit'
import { consoleConfig } from './config.js'
import { declareConsoleMetrics } from './metrics.js'

export const consoleService: ServiceSpec<typeof consoleConfig.fields> = {
  name: 'console',
  config: consoleConfig,
  opsPort: 9104,
  async start(context) {
    // Imported late: the contracts load grpc-js, which tracing has to see first.
    const { startConsole } = await import('./start-console.js')
    return startConsole(context, declareConsoleMetrics(context.metrics))
  },
}
