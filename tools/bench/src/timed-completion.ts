export interface TimedRequest {
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly domain: string
  readonly speculate: boolean
}

/** Decoding of one response, its prompt not counted: tokens after the first, and how long they took. */
export interface Timed {
  readonly tokens: number
  readonly seconds: number
}

/** Streams a completion as any client would, and notes when its first and last event came. */
export async function timedCompletion(url: string, request: TimedRequest): Promise<Timed> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      prompt: request.prompt,
      max_tokens: request.maxTokens,
      temperature: request.temperature,
      seed: request.seed,
      stream: true,
      stream_options: { include_usage: true },
      plateau: { domain: request.domain, capture: false, disable_speculation: !request.speculate },
    }),
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${(await response.text()).slice(0, 300)}`)
  const decoder = new TextDecoder()
  let text = ''
  let firstMs: number | undefined
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.includes('data: ')) firstMs ??= performance.now()
  }
  if (!text.trimEnd().endsWith('data: [DONE]')) throw new Error('the stream ended without [DONE]')
  const usage = /"completion_tokens":(\d+)/.exec(text)
  if (usage === null) throw new Error('the stream ended without its number of tokens')
  return { tokens: Number(usage[1]) - 1, seconds: (performance.now() - firstMs!) / 1000 }
}
