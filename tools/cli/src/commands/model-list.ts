import { catalogue, modelsDirectory, resolveModel } from '@plateau/model-hub'
import { command } from '../command.js'
import { text, value } from '../option.js'
import { table } from '../table.js'

export const modelList = command({
  name: 'model list',
  summary: 'the models that can be fetched by name, and where they are',
  options: { dir: value('DIR', 'default: PLATEAU_MODELS, or ~/.cache/plateau/models', text) },
  run: async (context, { dir }) => {
    const directory = dir ?? modelsDirectory(context.environment)
    const models = await Promise.all(
      catalogue.map(async ({ name, summary, licence, bytes }) => {
        const path = await resolveModel(name, { directory }).catch(() => undefined)
        return { name, megabytes: Math.round(bytes / 1e6), licence, path, summary }
      }),
    )
    const rows = models.map(({ name, megabytes, licence, path, summary }) => [
      name,
      megabytes,
      licence,
      path ?? 'not fetched',
      summary,
    ])
    context.report({ json: models, text: table(['name', 'MB', 'licence', 'where', 'what it is'], rows) })
    return 0
  },
})
