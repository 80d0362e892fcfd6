import { readFile } from 'node:fs/promises'
import { messageOf, PlateauError, type rollout } from '@plateau/contracts'
import type { CallSettings } from '@plateau/rpc'
import type { Context } from '../command.js'
import { defaulted, required, text, value } from '../option.js'
import { openChannels } from '../transport.js'

/** Where serving takes orders unless something else is said: PLATEAU_ADMIN_ADDRESS's own default. */
const DEFAULT_ADDRESS = '127.0.0.1:7081'
/** A promotion loads and verifies a version before it answers. */
const DEADLINE_MS = 120_000

export const adminOption = value(
  'HOST:PORT',
  `serving's admin address; default: PLATEAU_ADMIN_ADDRESS, else ${DEFAULT_ADDRESS}`,
  text,
)

/** What every order takes. */
export const orderOptions = {
  lineage: defaulted('L', "which draft's line of versions", text, 'default'),
  reason: required('TEXT', 'why, for those who read the records later', text),
  admin: adminOption,
}

export const ORDER_DETAILS = `
The order goes to one serving process, holds for every one of the lineage and survives restarts. It is recorded
with its reason on the rollouts topic, under the name of the key that PLATEAU_ADMIN_KEY_FILE holds (a file with
the key and nothing else), where serving wants one. Where serving has certificates, PLATEAU_TLS_CERT_FILE,
PLATEAU_TLS_KEY_FILE and PLATEAU_TLS_CA_FILE name those of an operator (plateau certs).`

/**
 * One call to the RolloutService, with the operator's key. What may go wrong is said as an operator can mend it; throws
 * PlateauError with the server's code.
 */
export async function askServing<Response>(
  context: Context,
  admin: string | undefined,
  call: (client: rollout.RolloutServiceClient, settings: CallSettings) => Promise<Response>,
): Promise<Response> {
  // Imported late: help and mistakes need none of it.
  const { createClient } = await import('@plateau/rpc')
  const { rollout: contract } = await import('@plateau/contracts')
  const address = admin ?? context.environment['PLATEAU_ADMIN_ADDRESS'] ?? DEFAULT_ADDRESS
  const keyFile = context.environment['PLATEAU_ADMIN_KEY_FILE']
  const metadata = keyFile === undefined ? {} : { authorization: `Bearer ${await readKey(keyFile)}` }
  const channels = await openChannels(context)
  const client = createClient(contract.RolloutServiceClient, address, channels.to('serving'))
  try {
    return await call(client, { deadlineMs: DEADLINE_MS, signal: context.signal, metadata })
  } catch (error) {
    throw explained(error, address, keyFile)
  } finally {
    client.close()
    channels.close()
  }
}

async function readKey(path: string): Promise<string> {
  const read = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new PlateauError('KEY_UNREADABLE', `PLATEAU_ADMIN_KEY_FILE: ${messageOf(cause)}`, { cause })
  })
  const key = read.trim()
  if (/^\S+$/.test(key)) return key
  throw new PlateauError('KEY_UNREADABLE', `PLATEAU_ADMIN_KEY_FILE: ${path} should hold one key and nothing else`)
}

function explained(error: unknown, address: string, keyFile: string | undefined): unknown {
  if (!(error instanceof PlateauError)) return error
  const said = (message: string) => new PlateauError(error.code, message, { facts: error.facts, cause: error })
  switch (error.code) {
    case 'UNAVAILABLE':
      return said(
        `no serving process answers at ${address}: is it running, with PLATEAU_ADMIN_ADDRESS there, and does it have certificates (PLATEAU_TLS_CERT_FILE) exactly where this command has? (${error.message})`,
      )
    case 'UNIMPLEMENTED':
      return said(
        `${address} is no admin address: it does not know the RolloutService (serving's gRPC port is another)`,
      )
    case 'UNAUTHENTICATED':
      return keyFile === undefined
        ? said(`serving at ${address} wants a key: let PLATEAU_ADMIN_KEY_FILE name a file that holds an operator's`)
        : said(`serving at ${address} does not know the key in ${keyFile}`)
    default:
      return error
  }
}
