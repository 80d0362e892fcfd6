import net from 'node:net'
import type { ISocketFactoryArgs } from 'kafkajs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { kafkaConfig } from '../kafka-config.js'
import { settingsOf } from '../options.js'
import { until } from '../testing/until.js'
import { brokerFactory } from './modules.js'
import { NodeConnection } from './node-connection.js'

/** Accepts connections, says nothing, and does not hang up when the other side does: a process that is frozen. */
const frozen = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
let port = 0
let sockets: net.Socket[] = []

beforeAll(async () => {
  await new Promise<void>((resolve) => frozen.listen(0, '127.0.0.1', resolve))
  port = (frozen.address() as net.AddressInfo).port
})

afterAll(() => {
  frozen.close()
})

beforeEach(() => {
  sockets = []
})

function connectionToFrozen(): NodeConnection {
  const timing = { connectionTimeoutMs: 50, requestTimeoutMs: 50 }
  const config = kafkaConfig(settingsOf({ bootstrapServers: [`127.0.0.1:${port}`], timing }))
  const socketFactory = (args: ISocketFactoryArgs) => {
    const socket = config.socketFactory!(args)
    sockets.push(socket)
    return socket
  }
  const makeBroker = brokerFactory({ ...config, socketFactory })
  return new NodeConnection('127.0.0.1', port, () => makeBroker('127.0.0.1', port))
}

const areClosed = () => sockets.every((socket) => socket.destroyed)

test('a node that is frozen is not left with a socket for each try', async () => {
  const connection = connectionToFrozen()
  for (let tries = 0; tries < 3; tries++) {
    await expect(connection.send('Metadata', { topics: [] })).rejects.toMatchObject({
      name: 'KafkaJSRequestTimeoutError',
    })
  }
  expect(sockets).toHaveLength(3)
  await until('all closed', areClosed)
})

test('whenever it is closed while it connects, no socket stays', async () => {
  for (let turns = 0; turns < 20; turns++) {
    const connection = connectionToFrozen()
    const sent = connection.send('Metadata', { topics: [] }).catch((thrown: unknown) => thrown)
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    connection.close()
    expect(await sent).toMatchObject({ code: 'LOG_CLOSED' })
  }
  await until('all closed', areClosed)
})
