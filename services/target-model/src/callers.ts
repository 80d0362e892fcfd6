import type { MethodTable } from '@plateau/mtls'

/** With mutual TLS: serving decodes and scores; operators test the target against itself (plateau selftest). */
export const targetCallers: MethodTable = {
  '/plateau.target.v1.TargetService/Describe': ['serving', 'operator'],
  '/plateau.target.v1.TargetService/Generate': ['serving', 'operator'],
  '/plateau.target.v1.TargetService/Score': ['serving', 'operator'],
  '/plateau.target.v1.TargetService/Speculate': ['serving', 'operator'],
}
