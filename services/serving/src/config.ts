import {
  address,
  bytes,
  choice,
  defineConfig,
  directory,
  existingFile,
  existingPath,
  flag,
  integer,
  optional,
  port,
  seconds,
  text,
  type Values,
} from '@plateau/config'

export const servingConfig = defineConfig(
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
    checkpoints: directory({
      env: 'PLATEAU_CHECKPOINTS',
      default: '.plateau/checkpoints',
      help: 'The checkpoint store that the trainer writes to.',
    }),
    verifyKeyFile: optional(
      existingFile({
        env: 'PLATEAU_VERIFY_KEY_FILE',
        help: 'Ed25519 public key (PEM) that checkpoints must be signed with. Needed while speculation is on.',
      }),
    ),
    lineage: text({ env: 'PLATEAU_LINEAGE', default: 'default', help: "Which draft's line of versions to serve." }),
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
    capture: flag({
      env: 'PLATEAU_CAPTURE',
      default: 'on',
      help: 'off: no request consents to having its distributions streamed to the event log.',
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

export type ServingConfig = Values<typeof servingConfig.fields>
