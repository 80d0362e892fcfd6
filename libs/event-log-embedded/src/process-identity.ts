import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/**
 * Names a process so that others on this machine can see that it is dead, without waiting for its session to time out.
 * The start time tells it from a later process with the same pid; `space` says where the pid means anything: the boot
 * and, for containers that share a volume, the pid namespace.
 */
export interface ProcessIdentity {
  readonly pid: number
  readonly startedAt: string
  readonly space: string
}

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, startedAt: startOf(process.pid) ?? '', space: pidSpace() }
}

/** True only when it is certain. A process of another machine or container is never certainly dead. */
export function isCertainlyDead(other: ProcessIdentity, self: ProcessIdentity): boolean {
  if (other.space !== self.space) return false
  if (other.pid === self.pid) return other.startedAt !== self.startedAt
  if (other.startedAt !== '') return startOf(other.pid) !== other.startedAt
  try {
    process.kill(other.pid, 0)
    return false
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH'
  }
}

/** Clock ticks since boot; undefined when the process is gone, a zombie, or this is not Linux. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the command in brackets and may hold anything; state is the 3rd field, start time the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function pidSpace(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return hostname()
  }
}
