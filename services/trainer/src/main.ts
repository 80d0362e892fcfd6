import { runService } from '@plateau/service-kit'
import { trainer } from './service.js'

await runService(trainer)
