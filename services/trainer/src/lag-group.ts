import { TRAINER_GROUP } from './dead-letters.js'

export interface LagGroupOptions {
  readonly lineage: string
  readonly partitions?: readonly number[] | undefined
}

/**
 * The group that a trainer's offsets are shown under. Trainers that share the stream by its partitions show one lag together;
 * a lineage that reads all of it, beside others that do, shows its own.
 */
export function lagGroupOf({ lineage, partitions }: LagGroupOptions): string {
  return lineage === 'default' || partitions !== undefined ? TRAINER_GROUP : `${TRAINER_GROUP}.${lineage}`
}
