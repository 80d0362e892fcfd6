import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Lease } from '../event-log.js'
import { expectCode, type Fact, text, valueOf, type World } from './harness.js'

/** How long to look at something that must not happen. */
const QUIET_MS = 300

export function leaseFacts(fact: Fact): void {
  fact('whoever asks first holds the lease at once and writes through it', async (world) => {
    const { name, topic } = await claimed(world)
    const lease = await world.lease(world.log, name, topic)
    expect(lease.epoch).toBeGreaterThan(0)
    expect(lease.lost.aborted).toBe(false)
    const [appended] = await lease.producer.send(topic, [text('key', 'first')])
    expect(appended).toEqual({ partition: 0, offset: 0 })
    expect(await valuesIn(world, topic)).toEqual(['first'])
  })

  fact('another one waits until the holder lets go; its epoch is higher', async (world) => {
    const { name, topic } = await claimed(world)
    const first = await world.lease(world.log, name, topic)
    const second = watch(world.lease(await world.another(), name, topic))
    await sleep(QUIET_MS)
    expect(second.isSettled()).toBe(false)
    await first.producer.send(topic, [text('key', 'first')])
    await first.release()
    const lease = await second.promise
    expect(lease.epoch).toBeGreaterThan(first.epoch)
    await lease.producer.send(topic, [text('key', 'second')])
    await expectCode(first.producer.send(topic, [text('key', 'late')]), 'LOG_CLOSED')
    expect(await valuesIn(world, topic)).toEqual(['first', 'second'])
  })

  fact('of many that wait one holds it at a time, and each has its turn', async (world) => {
    const { name, topic } = await claimed(world)
    let holders = 0
    let mostHolders = 0
    const logs = [world.log, await world.another(), await world.another()]
    const epochs = await Promise.all(
      logs.map(async (log) => {
        const lease = await world.lease(log, name, topic)
        mostHolders = Math.max(mostHolders, ++holders)
        await lease.producer.send(topic, [text('key', String(lease.epoch))])
        holders--
        await lease.release()
        return lease.epoch
      }),
    )
    expect(mostHolders).toBe(1)
    const inOrder = epochs.toSorted((a, b) => a - b)
    expect(new Set(epochs).size).toBe(3)
    expect(await valuesIn(world, topic)).toEqual(inOrder.map(String))
  })

  fact('a holder that keeps it long after its session timeout still has it', async (world) => {
    const { name, topic } = await claimed(world)
    const lease = await world.lease(world.log, name, topic)
    const second = watch(world.lease(await world.another(), name, topic))
    await sleep(world.sessionTimeoutMs * 2)
    expect(second.isSettled()).toBe(false)
    expect(lease.lost.aborted).toBe(false)
    await lease.producer.send(topic, [text('key', 'still')])
    await lease.release()
    await (await second.promise).release()
  })

  fact("after the holder's process was killed the next one gets it", async (world) => {
    const { name, topic } = await claimed(world)
    const holder = world.leaseProcess(name, topic)
    await world.until('held by the process', () => holder.lines.some((line) => line.startsWith('holds ')))
    holder.tell('send before')
    await world.until('sent', () => holder.lines.includes('sent before'))
    const second = world.lease(world.log, name, topic)
    await holder.kill()
    const lease = await second
    expect(lease.epoch).toBeGreaterThan(epochOf(holder.lines))
    await lease.producer.send(topic, [text('key', 'after')])
    expect(await valuesIn(world, topic)).toEqual(['before', 'after'])
  })

  fact(
    'a holder that was silent for its session timeout has lost it; what it still sends is refused',
    async (world) => {
      const { name, topic } = await claimed(world)
      const stale = world.leaseProcess(name, topic)
      await world.until('held by the process', () => stale.lines.some((line) => line.startsWith('holds ')))
      stale.tell('send before')
      await world.until('sent', () => stale.lines.includes('sent before'))
      stale.freeze()
      const lease = await world.lease(world.log, name, topic)
      await lease.producer.send(topic, [text('key', 'mine 1')])
      stale.tell('send stale')
      stale.thaw()
      await lease.producer.send(topic, [text('key', 'mine 2')])
      await world.until('refused', () => stale.lines.includes('refused WRITER_FENCED stale'))
      await world.until('told that it is lost', () => stale.lines.includes('lost'))
      stale.tell('send again')
      await world.until('refused again', () => stale.lines.includes('refused WRITER_FENCED again'))
      await lease.producer.send(topic, [text('key', 'mine 3')])
      expect(lease.lost.aborted).toBe(false)
      expect(await valuesIn(world, topic)).toEqual(['before', 'mine 1', 'mine 2', 'mine 3'])
    },
  )

  fact('a wait that is aborted rejects with the reason, and takes nothing', async (world) => {
    const { name, topic } = await claimed(world)
    const reason = new Error('no longer wanted')
    await expect(world.lease(world.log, name, topic, AbortSignal.abort(reason))).rejects.toBe(reason)
    const first = await world.lease(world.log, name, topic)
    const aborting = new AbortController()
    const second = world.lease(await world.another(), name, topic, aborting.signal)
    second.catch(() => {})
    await sleep(QUIET_MS)
    aborting.abort(reason)
    await expect(second).rejects.toBe(reason)
    await first.release()
    const third = await world.lease(await world.another(), name, topic)
    expect(third.epoch).toBeGreaterThan(first.epoch)
  })

  fact('leases of other names do not disturb each other, on one topic either', async (world) => {
    const { name, topic } = await claimed(world)
    const other = await world.another()
    const leases = [await world.lease(world.log, name, topic), await world.lease(other, `${name}.other`, topic)]
    for (const [who, lease] of leases.entries()) await lease.producer.send(topic, [text('key', `from ${who}`)])
    await leases[1]!.release()
    await leases[0]!.producer.send(topic, [text('key', 'still')])
    expect(leases.map(({ lost }) => lost.aborted)).toEqual([false, false])
    expect(await valuesIn(world, topic)).toEqual(['from 0', 'from 1', 'still'])
  })

  fact('release waits for what was sent, and may be repeated', async (world) => {
    const { name, topic } = await claimed(world)
    const lease = await world.lease(world.log, name, topic)
    const sent = lease.producer.send(topic, [text('key', 'last')])
    await Promise.all([lease.release(), lease.release()])
    expect(await valuesIn(world, topic)).toEqual(['last'])
    await sent
    const next = await world.lease(await world.another(), name, topic)
    await lease.release()
    await next.producer.send(topic, [text('key', 'next')])
    expect(next.lost.aborted).toBe(false)
  })

  fact('closing the log lets its leases go, and ends its waits', async (world) => {
    const { name, topic } = await claimed(world)
    const [holding, waiting] = [await world.another(), await world.another()]
    const first = await world.lease(holding, name, topic)
    const ended = world.lease(waiting, name, topic)
    ended.catch(() => {})
    await sleep(QUIET_MS)
    await waiting.close()
    await expectCode(ended, 'LOG_CLOSED')
    await holding.close()
    const next = await world.lease(world.log, name, topic)
    expect(next.epoch).toBeGreaterThan(first.epoch)
  })

  fact('a lease writes to the topics it was taken for, and to no other', async (world) => {
    const { name, topic } = await claimed(world)
    await expectCode(world.lease(world.log, name, world.name('missing')), 'UNKNOWN_TOPIC')
    const lease = await world.lease(world.log, name, topic)
    const other = await world.topic()
    await expectCode(lease.producer.send(other, [text('key', 'astray')]), 'TOPIC_NOT_LEASED')
    expect(await valuesIn(world, other)).toEqual([])
  })
}

async function claimed(world: World): Promise<{ name: string; topic: string }> {
  return { name: world.name('lease'), topic: await world.topic({ partitions: 1 }) }
}

async function valuesIn(world: World, topic: string): Promise<(string | null)[]> {
  return (await world.readAll(topic)).map(valueOf)
}

function epochOf(lines: readonly string[]): number {
  return Number(lines.find((line) => line.startsWith('holds '))?.split(' ')[1])
}

function watch(promise: Promise<Lease>): { promise: Promise<Lease>; isSettled: () => boolean } {
  let isSettled = false
  const settle = () => (isSettled = true)
  promise.then(settle, settle)
  return { promise, isSettled: () => isSettled }
}
