import { hashToUnit } from '@plateau/flatness'

/**
 * A sample's place in [0, 1), the same in every process and for ever: it falls to the canary where this is below the
 * canary's share. Other salts (the version, say) give unrelated places, so no caller is always among the first to try.
 * Unrelated to the sample's arm and lot.
 */
export function shareOf(sampleId: string, salt: string): number {
  return hashToUnit(`plateau.canary.${salt}`, sampleId)
}
