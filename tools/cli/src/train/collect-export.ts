import { join } from 'node:path'
import { Arm, Decision, TrainingWindow, type TokenWindow } from '@plateau/contracts'
import { Cluster, TargetClient } from '@plateau/demo'
import type { ExportedResponse } from './exported-responses.js'
import type { RecordingOptions } from './recording.js'
import { EVALUATION_PREFIX } from './split.js'
import type { WindowStore } from './window-store.js'

export interface ExportOptions extends RecordingOptions {
  readonly positions: number
  readonly signal: AbortSignal
  say(line: string): void
  progress(positions: number): void
}

/** Longer responses are scored in pieces. */
const MOST_TOKENS = 512
/** Shorter ones say too little about what followed. */
const LEAST_TOKENS = 8

/**
 * Has the target score an export's tokens again (teacher forcing), because an export has neither states nor listed
 * distributions. It has no prompts either: every response is read without the text before it, so its first positions
 * differ from what was served.
 */
export async function collectExport(
  responses: readonly ExportedResponse[],
  store: WindowStore,
  options: ExportOptions,
): Promise<void> {
  options.say('starting the target to score the exported tokens again; the export has no prompts, so it reads without')
  const { directory, model, sequences, threads } = options
  const cluster = await Cluster.start({
    directory: join(directory, 'services'),
    model,
    services: ['target-model'],
    env: {
      'target-model': {
        PLATEAU_MAX_SEQUENCES: String(sequences),
        PLATEAU_CAPTURE: 'off',
        ...(threads !== undefined && { PLATEAU_THREADS: String(threads) }),
      },
    },
  })
  try {
    const target = await TargetClient.connect(cluster.targetAddress, model)
    const pieces = responses.flatMap(piecesOf).values()
    const client = async (): Promise<void> => {
      for (const piece of pieces) {
        if (options.signal.aborted || store.totalPositions >= options.positions) return
        if (store.samples.has(piece.sampleId)) continue
        const [first, ...rest] = piece.tokenIds
        await store.add(trainingWindow(piece, await target.scoreTokens([first!], rest)))
        options.progress(store.totalPositions)
      }
    }
    try {
      await Promise.all(Array.from({ length: sequences }, client))
    } finally {
      target.close()
    }
  } finally {
    await cluster.stop()
    await store.flush()
  }
}

function piecesOf({ sampleId, tokenIds, isForEvaluation, ...rest }: ExportedResponse): ExportedResponse[] {
  const prefix = isForEvaluation ? EVALUATION_PREFIX : ''
  return Array.from({ length: Math.ceil(tokenIds.length / MOST_TOKENS) }, (_, i) => ({
    ...rest,
    isForEvaluation,
    sampleId: `${prefix}${sampleId}#${i}`,
    tokenIds: tokenIds.slice(i * MOST_TOKENS, (i + 1) * MOST_TOKENS),
  })).filter((piece) => piece.tokenIds.length >= LEAST_TOKENS)
}

/** As the scorer would have made it, but for the arm: all of it may be trained on. */
function trainingWindow({ sampleId, domain }: ExportedResponse, scored: TokenWindow): TrainingWindow {
  return TrainingWindow.fromPartial({
    window: { ...scored, sampleId, domain, last: true },
    arm: Arm.ARM_SELECTED,
    decision: Decision.DECISION_KEEP,
  })
}
