/**
 * A broker must not outlive the process that started it, whatever ends that process, SIGKILL included. A tiny shell
 * reads a pipe that we hold; the kernel closes the pipe when we die, and the shell then kills what bears the tag.
 */
import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'

// The tag comes by environment: on the shell's command line it would make the shell itself look like a broker.
const script = `cat >/dev/null
if [ -e /proc/self/cmdline ]; then grep -lzxF -e "$WATCHED" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3
else pgrep -f -- "$WATCHED "; fi | xargs kill -9 2>/dev/null`

/** From now on every process with `tag` as an argument is killed when this process ends. The result calls that off. */
export function killWhenThisProcessEnds(tag: string): () => void {
  const watcher = spawn('sh', ['-c', script], {
    detached: true, // A session of its own: Ctrl-C must not reach it before it has done its work.
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, WATCHED: tag },
  })
  watcher.unref()
  ;(watcher.stdin as Socket).unref()
  watcher.on('error', () => {}) // No sh: the next test run cleans up instead.
  return () => void watcher.kill('SIGKILL')
}
