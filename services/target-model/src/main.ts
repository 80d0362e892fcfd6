import { runService } from '@plateau/service-kit'
import { targetModel } from './service.js'

await runService(targetModel)
