import type { FuzzTarget } from './fuzz-target.js'
import { keysFiles, manifests, signatures } from './targets/documents.js'
import { grpcCalls } from './targets/grpc.js'
import { consoleHttp, servingHttp } from './targets/http.js'
import { modelFileTargets } from './targets/model-files.js'
import { frames, headers, policies, protobuf, recordTargets, snapshots } from './targets/records.js'
import { chatTemplate, tokenizerInput } from './targets/text.js'

/** Every door that input from outside comes through. One more is an entry here. */
export const targets: readonly FuzzTarget[] = [
  protobuf,
  ...recordTargets,
  policies,
  headers,
  frames,
  manifests,
  signatures,
  snapshots,
  keysFiles,
  ...modelFileTargets,
  tokenizerInput,
  chatTemplate,
  servingHttp,
  consoleHttp,
  grpcCalls,
]
