import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { BenchError } from './bench-error.js'

const script = fileURLToPath(new URL('../pytorch/train_steps.py', import.meta.url))

export interface StepTimes {
  readonly millis: readonly number[]
  readonly losses: readonly number[]
}

/** pytorch/train_steps.py as a process that answers one request at a time. */
export class PyTorchChild {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  #said = ''

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child
    this.#lines = lines
    child.stderr!.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-2000)))
  }

  /** Throws BenchError when this interpreter cannot import PyTorch. */
  static async start(python: string, threads: number): Promise<{ child: PyTorchChild; torch: string; python: string }> {
    const spawned = spawn(python, ['-u', script, String(threads)], {
      env: environment(threads),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const failed = once(spawned, 'error').then(([cause]) => {
      throw new BenchError(`${python} could not be started: ${(cause as Error).message}`, { cause })
    })
    // A process that is gone makes writing fail; reading its answer says so better.
    spawned.stdin.on('error', () => undefined)
    const child = new PyTorchChild(spawned, createInterface(spawned.stdout)[Symbol.asyncIterator]())
    const versions = (await Promise.race([child.#answer(), failed])) as { torch: string; python: string }
    return { child, ...versions }
  }

  /** Reads weights and batch. Throws BenchError with what Python said. */
  async open(id: string, folder: string, compile: boolean): Promise<{ readonly parameters: number }> {
    return (await this.#ask({ do: 'open', id, folder, compile })) as { parameters: number }
  }

  async steps(id: string, count: number): Promise<StepTimes> {
    return (await this.#ask({ do: 'steps', id, count })) as StepTimes
  }

  close(): void {
    this.#child.stdin!.end()
  }

  async #ask(request: object): Promise<unknown> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`)
    const answer = await this.#answer()
    if ('error' in answer) throw new BenchError(`PyTorch: ${answer.error}`)
    return answer
  }

  async #answer(): Promise<object & { readonly error?: string }> {
    const { value, done } = await this.#lines.next()
    if (done !== true) return JSON.parse(value) as object
    throw new BenchError(`Python ended: ${this.#said.trim().split('\n').at(-1) ?? 'it said nothing'}`)
  }
}

/** Nothing that would choose another kernel or number of threads for its libraries than ours have. */
function environment(threads: number): Record<string, string | undefined> {
  const chosen = /^(OPENBLAS|OMP|MKL|GOTO|KMP|GOMP|ATEN|TORCH|NUMEXPR|DNNL|ONEDNN)_/
  const inherited = Object.entries(process.env).filter(([name]) => !chosen.test(name))
  return { ...Object.fromEntries(inherited), OMP_NUM_THREADS: String(threads), TOKENIZERS_PARALLELISM: 'false' }
}
