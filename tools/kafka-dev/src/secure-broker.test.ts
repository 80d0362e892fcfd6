import { readFileSync } from 'node:fs'
import { connect, type ConnectionOptions } from 'node:tls'
import { expect, test } from 'vitest'
import { addAcl, runKafkaTool } from './kafka-tool.js'
import { testSecureBroker } from './shared.js'
import { describeWithKafka } from './testing.js'

/** The error with which a TLS client is turned away; undefined when the broker answers it. */
function refusal(bootstrap: string, options: ConnectionOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const [host, port] = bootstrap.split(':')
    const socket = connect({ ...options, host, port: Number(port) }, () => {
      socket.write(Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])) // Which APIs do you know?
    })
    socket.once('data', () => resolve((socket.destroy(), undefined)))
    socket.once('error', (error) => resolve(error.message))
    socket.once('close', () => resolve('closed'))
  })
}

describeWithKafka('a secure broker', () => {
  test('serves, and knows its users by SCRAM', async () => {
    const broker = await testSecureBroker()
    expect(await broker.isServing()).toBe(true)
    await addAcl(broker, { user: 'guest', operations: ['Read'], topic: 'secure-broker-', prefixed: true })
    const args = ['--bootstrap-server', broker.bootstrap, '--command-config', broker.clientPropertiesFile, '--list']
    const listed = await runKafkaTool('org.apache.kafka.tools.AclCommand', args)
    expect(listed).toContain('principal=User:guest, host=*, operation=READ')
  }, 120_000)

  test('lets in by certificate whom its own authority has certified, and nobody else', async () => {
    const { security } = await testSecureBroker()
    if (security.kind !== 'sasl_ssl') throw new Error('not a secure broker')
    const ca = readFileSync(security.caFile)
    const identity = (files: { certFile: string; keyFile: string }) => ({
      cert: readFileSync(files.certFile),
      key: readFileSync(files.keyFile),
    })
    const { mtls } = security
    expect(await refusal(mtls.bootstrap, { ca, ...identity(mtls) })).toBeUndefined()
    expect(await refusal(mtls.bootstrap, { ca, ...identity(mtls.stranger) })).toMatch(/certificate unknown/)
    expect(await refusal(mtls.bootstrap, { ca })).toMatch(/certificate/)
    expect(await refusal(mtls.bootstrap, identity(mtls))).toMatch(/unable to verify|self-signed/)
  })
})
