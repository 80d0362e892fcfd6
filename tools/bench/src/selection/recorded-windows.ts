import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { WindowStore } from '@plateau/cli'
import type { TokenWindow } from '@plateau/contracts'
import { windowStatistics } from '@plateau/flatness-scorer'
import { windowRows, type WindowExpectations } from '@plateau/inference'
import { cacheFolder } from '../cache-folder.js'
import { recordWindows, sampleStart } from './record-windows.js'
import { roles, type Role, type SelectionTarget } from './selection-targets.js'
import type { SelectionWindow } from './selection-window.js'

export type RecordedWindows = Readonly<Record<Role, readonly SelectionWindow[]>> & { readonly fingerprint: string }

/** The target's windows from the cache; what is missing there is recorded first, on all cores. */
export async function openRecording(
  target: SelectionTarget,
  { say }: { readonly say: (line: string) => void },
): Promise<RecordedWindows> {
  const directory = cacheFolder(`selection-${target.name}`)
  const store = await WindowStore.open(join(directory, 'windows'))
  await recordWindows(target, store, { directory, threads: availableParallelism(), now: () => Date.now(), say })
  const { model } = target
  const expected: WindowExpectations = {
    targetFingerprint: model.fingerprint,
    tokenizerHash: model.tokenizerHash,
    vocabSize: model.config.vocabSize,
    norm: model.target.norm,
  }
  const windows: Record<Role, SelectionWindow[]> = { training: [], calibration: [], heldOut: [] }
  const hash = createHash('sha256').update(model.fingerprint)
  for await (const { window } of store.read()) {
    const role = roles.find((name) => target.portions.some((one) => one.role === name && isOf(window!, one)))
    // A response of one token, or of a prompt of one, has no row to learn from.
    if (role === undefined || !window!.hasLead || window!.windowIndex > 0) continue
    hash.update(`${window!.sampleId} ${window!.tokenIds.join(' ')}\n`)
    windows[role].push(selectionWindow(window!, expected))
  }
  return { ...windows, fingerprint: hash.digest('hex') }
}

function isOf({ sampleId }: TokenWindow, portion: { readonly role: Role; readonly domain: string }): boolean {
  return sampleId.startsWith(sampleStart(portion))
}

/** With its lead a window has a row for every position, so statistics need no shift. */
function selectionWindow(window: TokenWindow, expected: WindowExpectations): SelectionWindow {
  return {
    rows: windowRows(window, expected),
    statistics: windowStatistics(window),
    domain: window.domain,
    sampleId: window.sampleId,
  }
}
