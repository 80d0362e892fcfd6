import { PlateauError, target } from '@plateau/contracts'
import { validFor } from '@plateau/dev-certificates'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type PeerCertificate } from 'node:tls'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { callServerStream, callUnary, createClient } from './client.js'
import type { RpcServer, RpcServerOptions } from './server.js'
import { generateRequest, scoreRequest, serve, token, type Fake } from './testing.js'
import { authority, certificatesFor, Replaceable, stranger, textsFor } from './testing-tls.js'
import type { Certificates, ClientTls } from './transport-security.js'

const anyServer = (): undefined => undefined
const answers: Fake = { score: async () => ({ window: undefined }) }

async function serveTls(fake: Fake = answers, options: Partial<RpcServerOptions> = {}) {
  const certificates = await certificatesFor('server')
  return { ...(await serve(fake, { tls: certificates, ...options })), certificates }
}

function dial(
  { address }: RpcServer,
  certificates?: Certificates,
  refuseServer: ClientTls['refuseServer'] = anyServer,
) {
  const tls = certificates && { certificates, refuseServer }
  const client = createClient(target.TargetServiceClient, address, { tls })
  onTestFinished(() => client.close())
  return client
}

const score = (client: target.TargetServiceClient, deadlineMs = 5_000) =>
  callUnary<target.ScoreRequest, target.ScoreResponse>((...call) => client.score(...call), scoreRequest, { deadlineMs })

/** What a bare TLS handshake ends with; in TLS 1.3 a client hears after it that its certificate is not wanted. */
function handshake({ address }: RpcServer, options: object): Promise<string> {
  const [host, port] = address.split(':')
  return new Promise((resolve) => {
    const socket = connect({
      host: host!,
      port: Number(port),
      ca: authority.certificate,
      ALPNProtocols: ['h2'],
      ...options,
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('close', () => resolve('closed'))
    // Settings, the first thing that an HTTP/2 server says.
    socket.once('data', () => resolve(`talks ${socket.getProtocol()}`))
    onTestFinished(() => void socket.destroy())
  })
}

describe('a server with certificates on both sides', () => {
  it('answers whoever holds one that its authority signed, and tells handlers and checks whose it is', async () => {
    const seen: (string | undefined)[] = []
    const { server } = await serveTls(
      {
        score: async (_, { certificate }) => {
          seen.push(certificate()?.subjectaltname)
          return { window: undefined }
        },
      },
      { authorize: (_, { certificate }) => void seen.push(certificate?.subjectaltname) },
    )
    await score(dial(server, await certificatesFor('client')))
    expect(seen).toEqual(Array(2).fill('URI:spiffe://here/ns/test/sa/client, IP Address:127.0.0.1'))
  })

  it.each<[string, () => Promise<Certificates> | undefined, RegExp]>([
    ['plaintext', () => undefined, /^ERR_SSL_/],
    [
      'a certificate of another authority',
      () => certificatesFor('client', { by: stranger }),
      /^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/,
    ],
    [
      'a certificate that has expired',
      () => certificatesFor('client', { validity: { notBefore: new Date(0), notAfter: new Date(Date.now() - 1000) } }),
      /^CERT_HAS_EXPIRED$/,
    ],
    ['no trust in the server', () => certificatesFor('client', { trusts: stranger }), /^(ERR_SSL_|ECONNRESET)/],
  ])('has no talk with %s, and says why', async (_, certificates, reason) => {
    const reasons: string[] = []
    const { server } = await serveTls(answers, { onRefusedHandshake: (why) => reasons.push(why) })
    const client = dial(server, await certificates())
    await expect(score(client, 1_000)).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
    })
    await vi.waitFor(() => expect(reasons[0]).toMatch(reason))
  })

  it('hears of its own handshakes only', async () => {
    const reasons: string[][] = [[], []]
    const [first] = await Promise.all(
      reasons.map((told) => serveTls(answers, { onRefusedHandshake: (why) => told.push(why) })),
    )
    expect(await handshake(first!.server, {})).toMatch(/CERTIFICATE_REQUIRED/)
    await vi.waitFor(() => expect(reasons).toEqual([['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'], []]))
  })

  it('wants a certificate in the handshake, and TLS 1.3', async () => {
    const { server } = await serveTls()
    const { cert, key } = await textsFor('client')
    expect(await handshake(server, { cert, key })).toBe('talks TLSv1.3')
    expect(await handshake(server, {})).toMatch(/CERTIFICATE_REQUIRED/)
    expect(await handshake(server, { cert, key, maxVersion: 'TLSv1.2' })).toMatch(/PROTOCOL_VERSION/)
  })

  it('is refused by a client that wants another server', async () => {
    const { server } = await serveTls()
    const seen: [string, string | undefined][] = []
    const refuse = (host: string, { subjectaltname }: PeerCertificate): Error => {
      seen.push([host, subjectaltname])
      return new PlateauError('SERVER_IDENTITY_WRONG', 'this is not the target')
    }
    const client = dial(server, await certificatesFor('client'), refuse)
    await expect(score(client, 1_000)).rejects.toThrow(/this is not the target/)
    expect(seen[0]).toEqual(['127.0.0.1', 'URI:spiffe://here/ns/test/sa/server, IP Address:127.0.0.1'])
  })
})

describe('new certificates', () => {
  it('are for new connections, on both sides; calls that run go on', async () => {
    const seen: (string | undefined)[] = []
    const held = Promise.withResolvers<void>()
    const { server, certificates } = await serveTls(
      {
        ...answers,
        async *generate() {
          yield token(1)
          await held.promise
          yield token(2)
        },
      },
      { authorize: (_, { certificate }) => void seen.push(certificate?.subject.CN as string) },
    )
    const own = await certificatesFor('client')
    const expectedServer = { name: 'server' }
    const onlyNamed = (_: string, { subject }: PeerCertificate) =>
      subject.CN === expectedServer.name ? undefined : new Error(`it is ${String(subject.CN)}`)
    const before = dial(server, own, onlyNamed)
    const stream = callServerStream((...call) => before.generate(...call), generateRequest)
    expect((await stream.next()).value).toMatchObject({ tokenId: 1 })

    // Another authority altogether: nothing of before would do.
    certificates.replace(await textsFor('server-2', { by: stranger, trusts: stranger }))
    own.replace(await textsFor('client-2', { by: stranger, trusts: stranger }))
    expectedServer.name = 'server-2'
    const after = dial(server, own, onlyNamed)
    await score(after)
    held.resolve()
    expect((await stream.next()).value).toMatchObject({ tokenId: 2 })
    expect((await stream.next()).done).toBe(true)
    expect(seen).toEqual(['client', 'client-2'])
  })

  it('reach connections that are there by their age, and no call fails', async () => {
    const serials = new Set<string>()
    const { server, certificates } = await serveTls(answers, {
      limits: { maxConnectionAgeMs: 50 },
      authorize: (_, { certificate }) => void serials.add(certificate!.serialNumber),
    })
    const own = await certificatesFor('client')
    const client = dial(server, own)
    let failed = 0
    let calls = 0
    const stop = new AbortController()
    const load = Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted) {
        calls++
        await score(client).catch(() => failed++)
        await sleep(1)
      }
    })
    while (serials.size < 8) {
      certificates.replace(await textsFor('server'))
      own.replace(await textsFor('client'))
      await sleep(20)
    }
    stop.abort()
    await Promise.all(load)
    expect(failed).toBe(0)
    expect(calls).toBeGreaterThan(serials.size)
  })

  it('are not waited for by a server or client that has gone', async () => {
    const { server, certificates } = await serveTls()
    const own = await certificatesFor('client')
    const client = createClient(target.TargetServiceClient, server.address, {
      tls: { certificates: own, refuseServer: anyServer },
    })
    await score(client)
    client.close()
    await server.drain(1_000)
    await expect.poll(() => certificates.listeners.size + own.listeners.size).toBe(0)
  })

  it('do not bring down what they cannot be used for', async () => {
    const { server, certificates } = await serveTls()
    const own = new Replaceable(await textsFor('client', { validity: validFor(1, Date.now()) }))
    certificates.replace(await textsFor('server', { by: stranger }))
    await expect(score(dial(server, own), 500)).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
    })
    certificates.replace(await textsFor('server'))
    await score(dial(server, own))
  })
})
