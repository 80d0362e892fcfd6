import {
  address,
  bytes,
  choice,
  decimal,
  defineConfig,
  existingFile,
  existingPath,
  flag,
  integer,
  list,
  mergeConfigs,
  optional,
  port,
  seconds,
  share,
  text,
  type Values,
} from '@plateau/config'
import { checkpointsConfig, isLoopback, plaintextRefusal, transportConfig } from '@plateau/service-kit'

const ownConfig = defineConfig(
  {
    model: existingPath({
      env: 'PLATEAU_MODEL',
      help: "The target's Hugging Face directory or GGUF file: its tokenizer, and the embedding, norm and head that drafts share.",
    }),
    targetAddress: address({
      env: 'PLATEAU_TARGET_ADDRESS',
      default: '127.0.0.1:7070',
      help: 'gRPC address of target-model.',
    }),
    httpHost: text({ env: 'PLATEAU_HTTP_HOST', default: '127.0.0.1', help: 'Address of the OpenAI-compatible API.' }),
    httpPort: port({ env: 'PLATEAU_HTTP_PORT', default: 8080, help: 'Port of the OpenAI-compatible API.' }),
    grpcAddress: address({
      env: 'PLATEAU_GRPC_ADDRESS',
      default: '127.0.0.1:7080',
      help: 'Address of the gRPC ServingService.',
    }),
    adminAddress: address({
      env: 'PLATEAU_ADMIN_ADDRESS',
      default: '127.0.0.1:7081',
      help: 'Address of the gRPC RolloutService, which operators order by. Beyond this machine only with keys or mutual TLS.',
    }),
    verifyKeyFile: optional(
      existingFile({
        env: 'PLATEAU_VERIFY_KEY_FILE',
        help: 'Ed25519 public key (PEM) that checkpoints must be signed with. Needed while speculation is on.',
      }),
    ),
    lineage: text({ env: 'PLATEAU_LINEAGE', default: 'default', help: "Which draft's line of versions to serve." }),
    furtherLineages: optional(
      list(
        text({
          env: 'PLATEAU_FURTHER_LINEAGES',
          help: 'Lineages whose live versions are served too, to the tenants and domains that they turn out to be better for.',
        }),
      ),
    ),
    floorVersion: optional(
      integer({
        env: 'PLATEAU_FLOOR_VERSION',
        min: 1,
        help: 'A version of PLATEAU_LINEAGE that always stays loaded: it proposes while no version is live, and new ones must not be worse.',
      }),
    ),
    canaryShare: share({
      env: 'PLATEAU_CANARY_SHARE',
      default: 0.2,
      help: 'Share of requests that try a new version before it is live.',
    }),
    holdbackShare: share({
      env: 'PLATEAU_HOLDBACK_SHARE',
      default: 0.2,
      help: 'Share of requests that stays on the version before until a new one is confirmed.',
    }),
    margin: decimal({
      env: 'PLATEAU_ROLLOUT_MARGIN',
      default: 0.03,
      min: 0.001,
      max: 0.5,
      help: 'A version may have an alpha lower by so much than the one before it; below, it is rejected or rolled back.',
    }),
    errorRate: decimal({
      env: 'PLATEAU_ROLLOUT_ERROR_RATE',
      default: 0.01,
      min: 1e-6,
      max: 0.2,
      help: 'Chance, at most, that a version which is not worse is rejected or rolled back, over its whole life.',
    }),
    shadowPositions: integer({
      env: 'PLATEAU_SHADOW_POSITIONS',
      default: 128,
      min: 0,
      max: 1_000_000,
      help: 'Positions of live responses that a version is compared on before it proposes anything.',
    }),
    canaryRequests: integer({
      env: 'PLATEAU_CANARY_REQUESTS',
      default: 200,
      min: 1,
      max: 10_000_000,
      help: 'Responses of a canary after which it ends undecided: live if the estimate allows it.',
    }),
    stageMs: seconds({
      env: 'PLATEAU_STAGE_SECONDS',
      default: 30,
      min: 0.05,
      help: 'Longest time in shadow, and in canary.',
    }),
    keptDrafts: integer({
      env: 'PLATEAU_KEPT_DRAFTS',
      default: 2,
      max: 64,
      help: 'Replaced versions that stay loaded because some traffic does best with them, for when it comes back.',
    }),
    exploreShare: share({
      env: 'PLATEAU_EXPLORE_SHARE',
      default: 0.05,
      help: 'Share of requests that try another loaded draft than the one known best for their domain or tenant.',
    }),
    speculation: flag({
      env: 'PLATEAU_SPECULATION',
      default: 'on',
      help: 'off: decode plainly and load no draft. on: speculate wherever it pays.',
    }),
    promptLookup: flag({
      env: 'PLATEAU_PROMPT_LOOKUP',
      default: 'on',
      help: 'on: while speculation is on, copies from prompt and response are proposed where they pay, with or without a draft.',
    }),
    maxProposal: integer({
      env: 'PLATEAU_MAX_PROPOSAL',
      default: 8,
      min: 0,
      max: 64,
      help: 'Most tokens that are proposed in one round; the controller chooses fewer where fewer pay better.',
    }),
    promptFeatures: integer({
      env: 'PLATEAU_PROMPT_FEATURES',
      default: 64,
      min: 1,
      max: 4096,
      help: "How many of the prompt's last hidden states a draft starts from.",
    }),
    apiKeysFile: optional(
      existingFile({
        env: 'PLATEAU_API_KEYS_FILE',
        help: 'Who may ask, for how much (plateau keys writes it); read again when it changes. Without it everybody may.',
      }),
    ),
    capture: choice({
      env: 'PLATEAU_CAPTURE',
      of: ['off', 'consented', 'all'],
      default: 'consented',
      help: "Whose distributions may be streamed to the event log, and so train drafts. off: nobody's; consented: requests whose key says so; all: everybody's who does not opt out.",
    }),
    noCaptureTenants: optional(
      text({ env: 'PLATEAU_NO_CAPTURE_TENANTS', help: 'Tenants, separated by commas, whose requests never consent.' }),
    ),
    maxConcurrent: integer({
      env: 'PLATEAU_MAX_CONCURRENT',
      default: 16,
      min: 1,
      max: 4096,
      help: 'Responses that are generated at once.',
    }),
    maxWaiting: integer({
      env: 'PLATEAU_MAX_WAITING',
      default: 64,
      max: 65_536,
      help: 'Requests that may wait for their turn; further ones are answered with 429.',
    }),
    maxQueueMs: seconds({
      env: 'PLATEAU_MAX_QUEUE_SECONDS',
      default: 30,
      min: 0.01,
      help: 'A request that has waited so long for its turn is answered with 429.',
    }),
    maxTokens: optional(
      integer({ env: 'PLATEAU_MAX_TOKENS', min: 1, help: 'Most tokens that a request may ask for (max_tokens).' }),
    ),
    maxPromptTokens: optional(
      integer({ env: 'PLATEAU_MAX_PROMPT_TOKENS', min: 1, help: 'Most tokens that a prompt may have.' }),
    ),
    targetStallMs: seconds({
      env: 'PLATEAU_TARGET_STALL_SECONDS',
      default: 30,
      min: 0.05,
      help: 'A target that is connected and says nothing for so long within a response is taken for lost. Longer than the longest prompt takes.',
    }),
    requestTimeoutMs: seconds({
      env: 'PLATEAU_REQUEST_TIMEOUT_SECONDS',
      default: 120,
      min: 0.1,
      help: 'Longest time from the arrival of a request to its last token.',
    }),
    maxBodyBytes: bytes({
      env: 'PLATEAU_MAX_BODY_BYTES',
      default: '1MiB',
      min: 1024,
      help: 'Largest HTTP request body.',
    }),
    clientStallMs: seconds({
      env: 'PLATEAU_CLIENT_STALL_SECONDS',
      default: 30,
      min: 0.05,
      help: 'Longest time that a client may take to send its request body, and to take what is next in a stream.',
    }),
    requestMetrics: choice({
      env: 'PLATEAU_REQUEST_METRICS',
      of: ['none', 'summary', 'detailed'],
      default: 'summary',
      help: 'What a response says about its own speculation, as vLLM does. detailed: every round too.',
    }),
    httpMetrics: flag({
      env: 'PLATEAU_HTTP_METRICS',
      default: 'on',
      help: "off: the API's port has no /metrics, which names tenants; the ops port has it.",
    }),
    metricAliases: choice({
      env: 'PLATEAU_METRIC_ALIASES',
      of: ['none', 'vllm'],
      default: 'none',
      help: "vllm: /metrics also under vLLM's names.",
    }),
    reportMs: seconds({
      env: 'PLATEAU_REPORT_SECONDS',
      default: 1,
      min: 0.05,
      help: 'Interval of the records on the acceptance topic.',
    }),
    maxTenants: integer({
      env: 'PLATEAU_MAX_TENANTS',
      default: 32,
      min: 1,
      max: 1000,
      help: 'Tenants and domains that metrics and acceptance records keep apart; further ones count as "other".',
    }),
    chatFormat: choice({
      env: 'PLATEAU_CHAT_FORMAT',
      of: ['template', 'roles', 'plain'],
      default: 'template',
      help: 'How messages become a prompt. template: by the model\'s own template, or as roles where it has none; roles: "role: content" lines; plain: the contents, one after another.',
    }),
  },
  {
    refuse: [
      ({ speculation, verifyKeyFile }) =>
        speculation && verifyKeyFile === undefined
          ? 'PLATEAU_VERIFY_KEY_FILE is needed while PLATEAU_SPECULATION=on: a draft that is not verified is not loaded'
          : undefined,
    ],
  },
)

const transport = transportConfig('serving')

export const servingConfig = mergeConfigs(
  mergeConfigs(checkpointsConfig, ownConfig),
  defineConfig(
    {
      ...transport.fields,
      grpcAddress: ownConfig.fields.grpcAddress,
      adminAddress: ownConfig.fields.adminAddress,
      apiKeysFile: ownConfig.fields.apiKeysFile,
    },
    {
      refuse: [
        ...transport.refusals,
        (values) => plaintextRefusal('PLATEAU_GRPC_ADDRESS', values.grpcAddress, values),
        (values) => plaintextRefusal('PLATEAU_ADMIN_ADDRESS', values.adminAddress, values),
        ({ adminAddress, apiKeysFile, tlsCertFile }) =>
          apiKeysFile === undefined && tlsCertFile === undefined && !isLoopback(adminAddress)
            ? `PLATEAU_ADMIN_ADDRESS=${adminAddress} is reached from other machines, and without PLATEAU_API_KEYS_FILE or certificates everybody there could give orders: use a loopback address, a keys file or mutual TLS`
            : undefined,
      ],
    },
  ),
)

export type ServingConfig = Values<typeof servingConfig.fields>
