import { runService } from '@plateau/service-kit'
import { servingConfig } from './config.js'

await runService({
  name: 'serving',
  config: servingConfig,
  opsPort: 9080,
  // Imported once tracing is set up: it loads grpc-js.
  start: async (context) => (await import('./serving-service.js')).startServing(context),
})
