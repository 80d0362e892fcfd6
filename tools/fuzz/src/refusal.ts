import { PlateauError } from '@plateau/contracts'

/** True when `work` ended; false when it was refused with one of these codes. Whatever else is thrown is thrown on. */
export async function accepted(codes: readonly string[], work: () => unknown): Promise<boolean> {
  try {
    await work()
    return true
  } catch (thrown) {
    if (thrown instanceof PlateauError && codes.includes(thrown.code) && thrown.message.length > 0) return false
    throw thrown
  }
}
