export { consoleService } from './service.js'
