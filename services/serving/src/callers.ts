import type { MethodTable } from '@plateau/mtls'

/** With mutual TLS. Applications have identities of their own; their API keys say what each may. */
export const servingCallers: MethodTable = {
  '/plateau.serving.v1.ServingService/Generate': 'everyone',
  '/plateau.serving.v1.ServingService/Status': 'everyone',
}

/** With mutual TLS. Nothing that serves gives orders. */
export const orderCallers: MethodTable = {
  '/plateau.serving.v1.RolloutService/ListVersions': ['operator'],
  '/plateau.serving.v1.RolloutService/Promote': ['operator'],
  '/plateau.serving.v1.RolloutService/Rollback': ['operator'],
  '/plateau.serving.v1.RolloutService/Pin': ['operator'],
  '/plateau.serving.v1.RolloutService/Unpin': ['operator'],
}
