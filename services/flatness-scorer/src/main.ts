import { runService } from '@plateau/service-kit'
import { flatnessScorer } from './service.js'

await runService(flatnessScorer)
