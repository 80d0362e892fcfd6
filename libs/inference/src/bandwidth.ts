/**
 * How fast this machine reads memory. A decoding step must read every weight once, so that no step can be faster than
 * its weights' bytes over this number.
 */
import { GraphBuilder } from '@plateau/tensor-graph'
import { availableParallelism } from 'node:os'
import { float32 } from './host-tensor.js'
import { loadSession } from './session.js'
import { threadCounts } from './thread-counts.js'

/** More than the caches of one processor hold. */
const defaultBytes = 256 * 2 ** 20
const rowLength = 1024
const repeats = 8

export interface BandwidthOptions {
  /** The most threads that read at once. Default: as many as the machine runs at once. */
  readonly threads?: number
  /** Of memory that is read, and held meanwhile. */
  readonly bytes?: number
}

/**
 * Bytes per second. The engine averages rows of a large tensor (its loop keeps up with memory, JavaScript's does not) on
 * 1, 2, 4 .. threads; the fastest of several passes counts, since anything else that runs makes it slower only. Takes some
 * 20 ms a pass, during each of which the event loop waits.
 */
export async function measureBandwidth(options: BandwidthOptions = {}): Promise<number> {
  const { threads = availableParallelism(), bytes = defaultBytes } = options
  const rows = Math.ceil(bytes / 4 / rowLength)
  // Written, so that every page is there: what was never written is one page of zeros.
  const memory = float32(new Float32Array(rows * rowLength).fill(1), [rows, rowLength])
  const model = averageOfRows()
  let best = 0
  for (const count of threadCounts(threads)) {
    const session = await loadSession(model, { name: 'memory bandwidth', threads: count })
    try {
      for (let pass = 0; pass < repeats; pass++) {
        const { elapsedUs } = await session.timedRun({ memory })
        best = Math.max(best, memory.data.byteLength / (elapsedUs / 1e6))
      }
    } finally {
      await session.release()
    }
  }
  return best
}

function averageOfRows(): Uint8Array {
  const graph = new GraphBuilder()
  const memory = graph.input('memory', 'f32', ['rows', rowLength])
  const means = graph.op('ReduceMean', [memory, graph.ints(1)], { attributes: { keepdims: 0 } })
  graph.output('means', means, 'f32', ['rows'])
  return graph.encode()
}

/** How many times as long as reading its weights once a step took: 1 is as fast as a step can be. */
export function timesOfReading(stepUs: number, weightBytes: number, bytesPerSecond: number): number {
  return stepUs / 1e6 / (weightBytes / bytesPerSecond)
}
