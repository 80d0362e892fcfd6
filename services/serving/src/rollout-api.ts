import { messageOf, PlateauError, rollout } from '@plateau/contracts'
import { unary, type CallContext, type ReportError, type RpcService } from '@plateau/rpc'
import type { Logger } from '@plateau/telemetry'
import type { Caller } from './access/access.js'

export interface OrderBy {
  /** Name of the operator's key. */
  readonly by: string
  readonly reason: string
}

/**
 * What operators may do with a lineage's versions; 0 stands for a version as the contract says. Throws NOT_FOUND for a
 * lineage or version that is not there, FAILED_PRECONDITION for an order that makes no sense now.
 */
export interface RolloutControl {
  /** '' = all lineages. */
  status(lineage: string): rollout.ListVersionsResponse
  promote(lineage: string, version: number, order: OrderBy): Promise<number>
  rollback(lineage: string, version: number, order: OrderBy): Promise<{ version: number; liveVersion: number }>
  pin(lineage: string, version: number, order: OrderBy): Promise<number>
  /** What was pinned. */
  unpin(lineage: string, order: OrderBy): Promise<number>
}

export interface RolloutApiOptions {
  /** Name of the caller's key; throws UNAUTHENTICATED or PERMISSION_DENIED. */
  readonly authorizeOrder: (context: CallContext) => string
  /** Throws for who may not even look. Default: everyone who reaches the address may. */
  readonly authorizeReading?: (context: CallContext) => void
  /** Hears of every order: who, what and why, and what became of it. */
  readonly logger: Logger
  readonly report: ReportError
}

/** Longest reason, in characters; it goes into a record of 64 KiB and onto people's screens. */
const MAX_REASON = 1000

/** RolloutService over a control: checks what was asked, asks who may, and keeps the audit. */
export function rolloutApi(control: RolloutControl, options: RolloutApiOptions): RpcService {
  const { authorizeOrder, authorizeReading = () => {}, logger, report } = options

  /** An order as it was asked for becomes an answer, or an error; both are logged with who asked. */
  const ordered = <Request extends OrderRequest, Response>(
    what: string,
    carryOut: (request: Request, order: OrderBy) => Promise<Response>,
  ) =>
    unary<Request, Response>(async (request, context) => {
      const asked = { order: what, lineage: request.lineage, version: request.version, reason: request.reason.trim() }
      let by = ''
      try {
        by = authorizeOrder(context)
        checkOrder(request)
        const response = await carryOut(request, { by, reason: asked.reason })
        logger.info('order carried out', { ...asked, by, ...response })
        return response
      } catch (error) {
        logger.warn('order refused', { ...asked, by, ...whyOf(error) })
        throw error
      }
    }, report)

  const implementation: rollout.RolloutServiceServer = {
    listVersions: unary(async ({ lineage }, context) => {
      authorizeReading(context)
      return control.status(lineage)
    }, report),
    promote: ordered('promote', async ({ lineage, version }: rollout.PromoteRequest, order) => ({
      version: await control.promote(lineage, version, order),
    })),
    rollback: ordered('rollback', ({ lineage, version }: rollout.RollbackRequest, order) =>
      control.rollback(lineage, version, order),
    ),
    pin: ordered('pin', async ({ lineage, version }: rollout.PinRequest, order) => ({
      version: await control.pin(lineage, version, order),
    })),
    unpin: ordered('unpin', async ({ lineage }: rollout.UnpinRequest, order) => ({
      version: await control.unpin(lineage, order),
    })),
  }
  return { definition: rollout.RolloutServiceService, implementation }
}

/**
 * Who may give orders, by `Access.authenticate`: keys with `admin`. Without a keys file whoever is let in at the address is
 * an operator: `nameOf` says which one, by its certificate; without certificates it is one of this machine, for the
 * configuration lets it listen on loopback only.
 */
export function adminsOnly(
  authenticate: (authorization: string | undefined) => Caller,
  nameOf: (context: CallContext) => string | undefined = () => undefined,
) {
  return (context: CallContext): string => {
    const { keyName, admin } = authenticate(context.metadata('authorization'))
    if (admin) return keyName === '' ? (nameOf(context) ?? 'local operator') : keyName
    const message = `key "${keyName}" has no right to give orders: its entry in the keys file needs "admin": true`
    throw new PlateauError('PERMISSION_DENIED', message, { facts: { key: keyName } })
  }
}

/** Of a refusal its words suffice; a defect is reported with all there is. */
function whyOf(error: unknown): { readonly code: string; readonly why: string } {
  return { code: error instanceof PlateauError ? error.code : 'INTERNAL', why: messageOf(error) }
}

interface OrderRequest {
  readonly lineage: string
  readonly version?: number
  readonly reason: string
}

function checkOrder({ lineage, reason }: OrderRequest): void {
  if (lineage === '') throw invalid('lineage', 'lineage is missing: an order is about one lineage')
  if (reason.trim() === '') throw invalid('reason', 'reason is missing: an order must say why')
  if (reason.length > MAX_REASON) throw invalid('reason', `reason is longer than ${MAX_REASON} characters`)
}

function invalid(field: string, message: string): PlateauError {
  return new PlateauError('INVALID_ARGUMENT', message, { facts: { field } })
}
