/** Asks a broker which APIs it knows: the one request that Kafka answers before anyone has logged in. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Whether the listener answers in time: a frozen process accepts connections and answers nothing. */
export function answers(port: number, ca?: string): Promise<boolean> {
  return new Promise((resolve) => {
    const address = { host: '127.0.0.1', port }
    const socket = ca === undefined ? connect(address) : connectTls({ ...address, ca })
    const end = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(2000, () => end(false))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.once('data', () => end(true))
    socket.once(ca === undefined ? 'connect' : 'secureConnect', () => socket.write(apiVersionsRequest))
  })
}

/** Length, then: API key 18, version 0, correlation id 1, no client id. */
const apiVersionsRequest = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
