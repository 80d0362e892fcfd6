import { acceptanceLength, type Evidence } from './evidence.js'

/** Rates of one comparison over all its epochs. */
export interface ComparisonOptions {
  readonly margin: number
  readonly falseRejection: number
  readonly falsePromotion: number
}

/** Share of a rate that epoch k = 1, 2, ... may use: 6 / (pi k)^2, which adds up to 1 however many epochs there are. */
export function shareOfEpoch(epoch: number): number {
  return 6 / (Math.PI * epoch) ** 2
}

export function compared(
  value: number,
  otherValue: number,
): Pick<Evidence, 'value' | 'otherValue' | 'acceptanceLength' | 'otherAcceptanceLength'> {
  const lengths = { acceptanceLength: acceptanceLength(value), otherAcceptanceLength: acceptanceLength(otherValue) }
  return { value, otherValue, ...lengths }
}
