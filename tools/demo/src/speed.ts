import { complete } from './completions.js'
import type { DomainSpeed } from './report.js'

export interface SpeedOptions {
  readonly url: string
  readonly domains: readonly { readonly name: string; readonly prompts: readonly string[] }[]
  readonly maxTokens: number
  readonly promptsPerDomain: number
}

/**
 * Greedy decoding of the same prompts, plain and speculative in turn (which one first alternates), one client, without
 * capture: the machine's drift falls on both sides alike.
 */
export async function measureSpeed(options: SpeedOptions): Promise<DomainSpeed[]> {
  const speeds: DomainSpeed[] = []
  for (const domain of options.domains) {
    const plain = { tokens: 0, seconds: 0 }
    const speculative = { tokens: 0, seconds: 0 }
    const judged = { drafts: 0, proposed: 0, accepted: 0 }
    for (const [i, prompt] of domain.prompts.slice(0, options.promptsPerDomain).entries()) {
      const sides = [
        { sums: plain, disableSpeculation: true },
        { sums: speculative, disableSpeculation: false },
      ]
      for (const side of i % 2 === 0 ? sides : sides.toReversed()) {
        const completion = await complete(options.url, {
          prompt,
          maxTokens: options.maxTokens,
          temperature: 0,
          seed: 1,
          domain: domain.name,
          disableSpeculation: side.disableSpeculation,
          capture: false,
        })
        side.sums.tokens += completion.tokenIds.length
        side.sums.seconds += completion.seconds
        judged.drafts += completion.drafts
        judged.proposed += completion.draftTokens
        judged.accepted += completion.acceptedTokens
      }
    }
    speeds.push({
      domain: domain.name,
      plain: rate(plain),
      speculative: rate(speculative),
      acceptanceRate: judged.accepted / judged.proposed,
      acceptanceLength: 1 + judged.accepted / Math.max(1, judged.drafts),
      proposedPerToken: judged.proposed / speculative.tokens,
    })
  }
  return speeds
}

/** All domains together: total tokens over total time is the harmonic mean at equal token counts. */
export function overall(speeds: readonly DomainSpeed[]): { plain: number; speculative: number } {
  const mean = (rates: readonly number[]) => rates.length / rates.reduce((sum, r) => sum + 1 / r, 0)
  return { plain: mean(speeds.map((s) => s.plain)), speculative: mean(speeds.map((s) => s.speculative)) }
}

const rate = (sums: { tokens: number; seconds: number }): number => sums.tokens / sums.seconds
