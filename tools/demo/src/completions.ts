/** A small client of serving's OpenAI-compatible completions API, as any HTTP client would use it. */
export interface CompletionRequest {
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly domain: string
  /** Ask for server-sent events and read them as they come. */
  readonly stream?: boolean
  readonly disableSpeculation?: boolean
  readonly capture?: boolean
}

export interface Completion {
  readonly text: string
  readonly tokenIds: readonly number[]
  readonly draftVersion: string
  readonly drafts: number
  readonly draftTokens: number
  readonly acceptedTokens: number
  readonly seconds: number
}

interface PlateauExtension {
  draft_version?: string
  num_drafts?: number
  num_draft_tokens?: number
  num_accepted_tokens?: number
  token_ids?: number[]
}

interface CompletionBody {
  choices: { text: string }[]
  plateau?: PlateauExtension
  error?: { message: string }
}

/** Throws when the server refuses, the connection breaks, or a streamed answer ends without its closing mark. */
export async function complete(url: string, request: CompletionRequest, signal?: AbortSignal): Promise<Completion> {
  const startMs = performance.now()
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      prompt: request.prompt,
      max_tokens: request.maxTokens,
      temperature: request.temperature,
      seed: request.seed,
      stream: request.stream ?? false,
      plateau: {
        domain: request.domain,
        return_token_ids: true,
        ...(request.disableSpeculation ? { disable_speculation: true } : {}),
        ...(request.capture === false ? { capture: false } : {}),
      },
    }),
    ...(signal ? { signal } : {}),
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${(await response.text()).slice(0, 300)}`)
  const bodies = request.stream ? await readEvents(response) : [(await response.json()) as CompletionBody]
  const extension: PlateauExtension = {}
  let text = ''
  for (const body of bodies) {
    if (body.error) throw new Error(body.error.message)
    text += body.choices[0]?.text ?? ''
    Object.assign(extension, body.plateau)
  }
  return {
    text,
    tokenIds: extension.token_ids ?? [],
    draftVersion: extension.draft_version ?? '0',
    drafts: extension.num_drafts ?? 0,
    draftTokens: extension.num_draft_tokens ?? 0,
    acceptedTokens: extension.num_accepted_tokens ?? 0,
    seconds: (performance.now() - startMs) / 1000,
  }
}

async function readEvents(response: Response): Promise<CompletionBody[]> {
  const events = (await response.text()).split('\n\n').flatMap((event) => {
    const data = event.split('\n').find((line) => line.startsWith('data: '))
    return data ? [data.slice(6)] : []
  })
  if (events.at(-1) !== '[DONE]') throw new Error('the stream ended without [DONE]')
  return events.slice(0, -1).map((data) => JSON.parse(data) as CompletionBody)
}
