import { Arm, type TrainingWindow } from '@plateau/contracts'
import { hashToUnit } from '@plateau/flatness'

/**
 * What a window is for: learned from, used to fit the single numbers that are fitted by trying, or only judged on. By
 * sample, so that no response lies on two sides.
 */
export type Part = 'training' | 'calibration' | 'evaluation'

/** Answers to a prompt that drafts are judged on say so in their name; so does whoever asked them. */
export const EVALUATION_PREFIX = 'evaluation:'

const CALIBRATION_SHARE = 1 / 24

export function partOf({ arm, window }: TrainingWindow): Part {
  const sampleId = window?.sampleId ?? ''
  if (arm === Arm.ARM_EVALUATION || sampleId.startsWith(EVALUATION_PREFIX)) return 'evaluation'
  return hashToUnit('calibration', sampleId) < CALIBRATION_SHARE ? 'calibration' : 'training'
}
