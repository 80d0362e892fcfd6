import { runService } from '@plateau/service-kit'
import { consoleService } from './service.js'

await runService(consoleService)
