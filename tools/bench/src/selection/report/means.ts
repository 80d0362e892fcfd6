import type { ArmResult } from '../arm-result.js'
import type { Treatment } from './cells.js'

/** Mean over the treatment's seeds. */
export function mean({ arms }: Pick<Treatment, 'arms'>, of: (arm: ArmResult) => number): number {
  return arms.reduce((sum, arm) => sum + of(arm), 0) / arms.length
}

/** CPU seconds of selection and training together. */
export const totalCpuSeconds = ({ cpuSeconds }: ArmResult): number => cpuSeconds.selection + cpuSeconds.training
