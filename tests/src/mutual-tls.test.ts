/** Real services that talk by mutual TLS, and who is kept out. */
import { rollout, serving as servingContract, target, type PlateauError } from '@plateau/contracts'
import { holderFiles, issueInto, type Holder } from '@plateau/dev-certificates'
import { Cluster, complete, readPrompts } from '@plateau/demo'
import { serverRefusal, spiffeId, type ServiceName } from '@plateau/mtls'
import {
  callBidi,
  callServerStream,
  callUnary,
  createClient,
  type ClientConstructor,
  type ClientTls,
} from '@plateau/rpc'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { Clients } from './clients.js'
import { demoModel, tinyModel } from './models.js'
import { runToEnd } from './service-process.js'
import { until } from './until.js'

const trust = { trustDomain: 'plateau.test', namespaces: ['plateau'] }
const DAYS = { authorityDays: 30, days: 3 }
/** Files of one authority and what it signed. */
const root = mkdtempSync(join(tmpdir(), 'plateau-mtls-'))
const at = (...parts: string[]): string => join(root, ...parts)

type Asked = Partial<Omit<Holder, 'name'>> & { readonly nowMs?: number; readonly namespace?: string }

async function issue(
  authority: string,
  service: string,
  { uris, hosts = [], nowMs = Date.now(), namespace = 'plateau' }: Asked = {},
) {
  const named = uris ?? [spiffeId({ trustDomain: trust.trustDomain, namespace, service })]
  await issueInto(at(authority), [{ name: service, uris: named, hosts }], { authorityName: authority, ...DAYS, nowMs })
  return holderFiles(at(authority), service)
}

/** Services read theirs as from a mounted secret: links to files of a folder that `..data` leads to, which is swapped. */
let generation = 0
function mount(service: string, files: { certFile: string; keyFile: string; ca: string }): void {
  const secret = at('mounted', service)
  const folder = `..${++generation}`
  mkdirSync(join(secret, folder), { recursive: true })
  cpSync(files.certFile, join(secret, folder, 'tls.crt'))
  cpSync(files.keyFile, join(secret, folder, 'tls.key'))
  writeFileSync(join(secret, folder, 'ca.crt'), files.ca)
  symlinkSync(folder, join(secret, '..data_tmp'))
  renameSync(join(secret, '..data_tmp'), join(secret, '..data'))
  for (const file of ['tls.crt', 'tls.key', 'ca.crt'])
    if (!existsSync(join(secret, file))) symlinkSync(join('..data', file), join(secret, file))
}

const settings = (service: string): Record<string, string> => ({
  PLATEAU_TLS_CERT_FILE: at('mounted', service, 'tls.crt'),
  PLATEAU_TLS_KEY_FILE: at('mounted', service, 'tls.key'),
  PLATEAU_TLS_CA_FILE: at('mounted', service, 'ca.crt'),
  PLATEAU_TRUST_DOMAIN: trust.trustDomain,
  // Every connection is made again within seconds, with the certificates of then.
  PLATEAU_TLS_CONNECTION_SECONDS: '0.5',
})

const authorityOf = (authority: string): string => readFileSync(at(authority, 'ca.crt'), 'utf8')

const within = { deadlineMs: 3_000 }

let cluster: Cluster

beforeAll(async () => {
  for (const service of ['target-model', 'serving'] as const)
    mount(service, { ...(await issue('ours', service)), ca: authorityOf('ours') })
  cluster = await Cluster.start({
    directory: at('cluster'),
    model: tinyModel,
    services: ['target-model', 'serving'],
    env: { 'target-model': settings('target-model'), serving: settings('serving') },
  })
}, 60_000)

afterAll(async () => {
  await cluster?.stop()
  rmSync(root, { recursive: true, force: true })
})

/** The certificates of `files`, without this side's own checks: that of the other side is what is tried. */
function tlsOf(files: { certFile: string; keyFile: string; caFile: string }, expected?: ServiceName): ClientTls {
  const [cert, key, ca] = [files.certFile, files.keyFile, files.caFile].map((file) => readFileSync(file, 'utf8'))
  return {
    certificates: { current: { cert: cert!, key: key!, ca: ca! }, onChange: () => () => {} },
    refuseServer: (host, peer) => (expected === undefined ? undefined : serverRefusal(trust, expected, host, peer)),
  }
}

function dial<T extends { close(): void }>(make: unknown, address: string, tls?: ClientTls): T {
  const client = createClient(make as ClientConstructor<never>, address, { tls }) as unknown as T
  onTestFinished(() => client.close())
  return client
}

const dialTarget = (tls?: ClientTls) =>
  dial<target.TargetServiceClient>(target.TargetServiceClient, cluster.targetAddress, tls)
const dialAdmin = (tls?: ClientTls) =>
  dial<rollout.RolloutServiceClient>(rollout.RolloutServiceClient, cluster.adminAddress, tls)

const describeTarget = (client: target.TargetServiceClient) =>
  callUnary<target.DescribeRequest, target.DescribeResponse>((...call) => client.describe(...call), {}, within)
const listVersions = (client: rollout.RolloutServiceClient) =>
  callUnary<rollout.ListVersionsRequest, rollout.ListVersionsResponse>(
    (...call) => client.listVersions(...call),
    { lineage: '' },
    within,
  )

type Calls = Readonly<Record<string, () => Promise<unknown>>>

/** One call of every method. */
function callsOfTarget(client: target.TargetServiceClient): Calls {
  const request = { promptTokenIds: [1], sampling: { maxTokens: 1, topP: 1 } }
  const score = target.ScoreRequest.fromPartial({ promptTokenIds: [1], responseTokenIds: [2] })
  return {
    describe: () => describeTarget(client),
    generate: () =>
      callServerStream(
        (...call) => client.generate(...call),
        target.GenerateRequest.fromPartial(request),
        within,
      ).next(),
    score: () =>
      callUnary<target.ScoreRequest, target.ScoreResponse>((...call) => client.score(...call), score, within),
    speculate: () => {
      const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>(
        (...rest) => client.speculate(...rest),
        within,
      )
      call.end()
      return call.receive()
    },
  }
}

function callsOfOrders(client: rollout.RolloutServiceClient): Calls {
  const order = { lineage: 'default', version: 1, reason: 'a test' }
  return {
    listVersions: () => listVersions(client),
    promote: () =>
      callUnary<rollout.PromoteRequest, rollout.PromoteResponse>((...call) => client.promote(...call), order, within),
    rollback: () =>
      callUnary<rollout.RollbackRequest, rollout.RollbackResponse>(
        (...call) => client.rollback(...call),
        order,
        within,
      ),
    pin: () => callUnary<rollout.PinRequest, rollout.PinResponse>((...call) => client.pin(...call), order, within),
    unpin: () =>
      callUnary<rollout.UnpinRequest, rollout.UnpinResponse>((...call) => client.unpin(...call), order, within),
  }
}

/** How each is answered: 'let in', whatever it said then, or the code of the refusal at the door. */
async function answersTo(calls: Calls): Promise<Record<string, string>> {
  const atTheDoor = new Set(['PERMISSION_DENIED', 'UNAUTHENTICATED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'INTERNAL'])
  const answers = Object.entries(calls).map(async ([method, call]): Promise<[string, string]> => {
    const code = await call().then(
      () => 'OK',
      (error: unknown) => (error as PlateauError).code,
    )
    return [method, atTheDoor.has(code) ? code : 'let in']
  })
  return Object.fromEntries(await Promise.all(answers))
}

const all = (calls: Calls, answer: string) => Object.fromEntries(Object.keys(calls).map((method) => [method, answer]))

describe('mutual TLS between real services', () => {
  test('serving answers by a target that only talks to whom it knows', async () => {
    const { text } = await complete(cluster.httpUrl, {
      prompt: 'The',
      maxTokens: 4,
      temperature: 0,
      seed: 1,
      domain: '',
    })
    expect(text).not.toBe('')
  })

  test.each<[string, () => Promise<ClientTls | undefined>]>([
    ['plaintext', async () => undefined],
    [
      'a certificate of an authority that is not ours',
      async () => {
        const files = await issue('theirs', 'operator')
        return tlsOf({ ...files, caFile: at('ours', 'ca.crt') })
      },
    ],
    [
      'an expired certificate',
      async () => {
        await issue('ours', 'operator')
        return tlsOf(await issue('ours', 'operator', { nowMs: Date.now() - 4 * 86_400_000 }))
      },
    ],
  ])('nobody gets a connection with %s', async (_, tls) => {
    const given = await tls()
    await expect(describeTarget(dialTarget(given))).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|DEADLINE/),
    })
    await expect(listVersions(dialAdmin(given))).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|DEADLINE/),
    })
  })

  test('every method of the target refuses every identity but serving and operator', async () => {
    for (const service of ['trainer', 'flatness-scorer', 'console', 'target-model']) {
      const calls = callsOfTarget(dialTarget(tlsOf(await issue('ours', service))))
      expect({ service, ...(await answersTo(calls)) }).toEqual({ service, ...all(calls, 'PERMISSION_DENIED') })
    }
    for (const service of ['serving', 'operator']) {
      const calls = callsOfTarget(dialTarget(tlsOf(await issue('ours', service))))
      expect({ service, ...(await answersTo(calls)) }).toEqual({ service, ...all(calls, 'let in') })
    }
  })

  test('every order is refused to every identity but operator', async () => {
    for (const service of ['serving', 'trainer', 'console', 'target-model', 'flatness-scorer']) {
      const calls = callsOfOrders(dialAdmin(tlsOf(await issue('ours', service))))
      expect({ service, ...(await answersTo(calls)) }).toEqual({ service, ...all(calls, 'PERMISSION_DENIED') })
    }
    const calls = callsOfOrders(dialAdmin(tlsOf(await issue('ours', 'operator'))))
    expect(await answersTo(calls)).toEqual(all(calls, 'let in'))
  })

  test('the same name in another namespace or trust domain is nobody, and the refusal names method and caller', async () => {
    const uri = 'spiffe://plateau.test/ns/elsewhere/sa/operator'
    const elsewhere = dialAdmin(tlsOf(await issue('ours', 'operator', { namespace: 'elsewhere' })))
    await expect(listVersions(elsewhere)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: `${uri} may not call /plateau.serving.v1.RolloutService/ListVersions`,
      facts: { method: '/plateau.serving.v1.RolloutService/ListVersions', caller: uri },
    })
    const foreign = await issue('ours', 'operator', { uris: ['spiffe://other.test/ns/plateau/sa/operator'] })
    await expect(describeTarget(dialTarget(tlsOf(foreign)))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    const nameless = await issue('ours', 'operator', { uris: [], hosts: ['operator'] })
    await expect(describeTarget(dialTarget(tlsOf(nameless)))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  test('orders are not to be had where requests are served', async () => {
    const operator = tlsOf(await issue('ours', 'operator'))
    const address = cluster.grpcAddress
    const orders = dial<rollout.RolloutServiceClient>(rollout.RolloutServiceClient, address, operator)
    await expect(listVersions(orders)).rejects.toMatchObject({
      code: expect.stringMatching(/PERMISSION_DENIED|UNIMPLEMENTED/),
    })
    for (const path of ['rollouts', 'admin', 'v1/rollouts', 'plateau.serving.v1.RolloutService/ListVersions'])
      expect((await fetch(`${cluster.httpUrl}/${path}`, { method: 'POST', body: '{}' })).status).toBe(404)
    const status = dial<servingContract.ServingServiceClient>(servingContract.ServingServiceClient, address, operator)
    const ask = callUnary<servingContract.StatusRequest, servingContract.StatusResponse>(
      (...call) => status.status(...call),
      {},
    )
    expect((await ask).modelId).not.toBe('')
  })

  test('a client does not talk to another service than it wants, though all certificates are ours', async () => {
    const operator = await issue('ours', 'operator')
    await expect(describeTarget(dialTarget(tlsOf(operator, 'serving')))).rejects.toThrow(
      /is spiffe:\/\/plateau\.test\/ns\/plateau\/sa\/target-model, expected was "serving"/,
    )
    expect((await describeTarget(dialTarget(tlsOf(operator, 'target-model')))).modelId).not.toBe('')
  })

  test('refusals are in the log and counted', async () => {
    const metrics = await (await fetch(`${cluster.opsUrl('serving')}/metrics`)).text()
    expect(metrics).toMatch(
      /plateau_rpc_refused_total\{(?=[^}]*method="\/plateau\.serving\.v1\.RolloutService\/Pin")(?=[^}]*caller="trainer")[^}]*\} [1-9]/,
    )
    expect(metrics).toMatch(/plateau_certificate_expiry_seconds\{[^}]*certificate="own"[^}]*\} 1\d{9}/)
    expect(cluster.logTail('serving', 500)).toMatch(/sa\/trainer.*"call refused"/)
  })

  test('handshakes that came to nothing are in the log and counted, with what was wrong', async () => {
    for (const service of ['serving', 'target-model'] as const) {
      const metrics = await (await fetch(`${cluster.opsUrl(service)}/metrics`)).text()
      expect(metrics).toMatch(/plateau_tls_handshakes_refused_total\{[^}]*reason="CERT_HAS_EXPIRED"[^}]*\} [1-9]/)
      expect(cluster.logTail(service, 500)).toMatch(/"code":"CERT_HAS_EXPIRED".*"handshake refused"/)
    }
  })

  test('an authority is replaced under load, in three steps, and no request fails', async () => {
    const clients = new Clients([cluster.httpUrl], readPrompts(demoModel, 'sotu').prompts, 3)
    const services = ['target-model', 'serving'] as const
    const files = new Map<string, { certFile: string; keyFile: string; caFile: string }>()
    for (const service of services) files.set(service, await issue('ours', service))
    const inForce = (service: (typeof services)[number]): number =>
      cluster.logTail(service, 10_000).split('"new certificates in force"').length
    const swap = async (by: 'ours' | 'next', ca: string): Promise<void> => {
      const before = services.map(inForce)
      for (const service of services)
        mount(service, { ...(by === 'ours' ? files.get(service)! : await issue('next', service)), ca })
      await until(async () => (services.every((service, i) => inForce(service) > before[i]!) ? true : undefined))
    }
    await issue('next', 'operator')
    const both = authorityOf('ours') + authorityOf('next')
    await swap('ours', both)
    await swap('next', both)
    await swap('next', authorityOf('next'))
    const answered = clients.answered
    await until(async () => (clients.answered > answered + 5 ? true : undefined))
    await clients.stop()
    expect(clients.reasons).toEqual([])

    const tls = tlsOf(holderFiles(at('next'), 'operator'), 'target-model')
    expect((await describeTarget(dialTarget(tls))).modelId).not.toBe('')
    const old = { ...holderFiles(at('ours'), 'operator'), caFile: at('next', 'ca.crt') }
    await expect(describeTarget(dialTarget(tlsOf(old)))).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|DEADLINE/),
    })
  }, 60_000)

  test('certificates that cannot be used change nothing, and are said and counted', async () => {
    const broken = { ...(await issue('next', 'trainer')), ca: authorityOf('next') }
    mount('target-model', broken)
    await until(async () => {
      const metrics = await (await fetch(`${cluster.opsUrl('target-model')}/metrics`)).text()
      return /plateau_certificate_reloads_total\{[^}]*result="refused"[^}]*\} 1/.test(metrics) ? true : undefined
    })
    expect(cluster.logTail('target-model', 50)).toMatch(/is of \\"trainer\\".*cannot be used: the earlier ones stay/)
    const { text } = await complete(cluster.httpUrl, {
      prompt: 'The',
      maxTokens: 4,
      temperature: 0,
      seed: 1,
      domain: '',
    })
    expect(text).not.toBe('')
  }, 30_000)
})

test('a start with certificates that cannot be used names all that is wrong', async () => {
  const serving = await issue('start', 'serving')
  const operator = await issue('start', 'operator', { nowMs: Date.now() - 10 * 86_400_000 })
  const { code, output } = await runToEnd('target-model', {
    PLATEAU_MODEL: tinyModel,
    PLATEAU_EVENT_LOG: `embedded:${at('no-log')}`,
    PLATEAU_TLS_CERT_FILE: operator.certFile,
    PLATEAU_TLS_KEY_FILE: serving.keyFile,
    PLATEAU_TLS_CA_FILE: at('ours', 'ca.crt'),
    PLATEAU_TRUST_DOMAIN: 'elsewhere',
  })
  expect(code).toBe(2)
  for (const problem of [
    'the key does not belong to the certificate',
    'the certificate expired at',
    'the certificate is of "operator", and this is target-model',
    'the certificate is of trust domain "plateau.test", not "elsewhere"',
    'no authority of the CA file has signed the certificate',
  ])
    expect(output).toContain(problem)
})

test('a start in plaintext on an address that others reach is refused, unless the operator allows it', async () => {
  const environment = {
    PLATEAU_MODEL: tinyModel,
    PLATEAU_EVENT_LOG: `embedded:${at('no-log')}`,
    PLATEAU_TARGET_ADDRESS: '0.0.0.0:0',
  }
  const { code, output } = await runToEnd('target-model', environment)
  expect(code).toBe(2)
  expect(output).toMatch(/PLATEAU_TARGET_ADDRESS=0\.0\.0\.0:0 is reached from other machines, in plaintext/)
})
