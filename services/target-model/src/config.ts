import { plaintextRefusal, transportConfig } from '@plateau/service-kit'
import {
  address,
  bytes,
  choice,
  defineConfig,
  directory,
  existingPath,
  flag,
  integer,
  mergeConfigs,
  optional,
  seconds,
} from '@plateau/config'

/** target-model's own settings; the ones that every service has come with the shell. */
const ownConfig = defineConfig({
  model: existingPath({
    env: 'PLATEAU_MODEL',
    help: 'The target: a Hugging Face directory (config.json, safetensors, tokenizer.json) or a GGUF file.',
  }),
  weights: choice({
    env: 'PLATEAU_WEIGHTS',
    of: ['int8', 'f32', 'int4'],
    default: 'int8',
    help: 'What the model multiplies by: 8-bit blocks, its floats, or the 4-bit blocks that its file holds.',
  }),
  modelCache: optional(
    directory({
      env: 'PLATEAU_MODEL_CACHE',
      help: 'Where models built in a format are kept and shared by processes; not set: .cache/plateau/built at home.',
    }),
  ),
  cacheBytes: bytes({
    env: 'PLATEAU_CACHE_BYTES',
    min: 2 ** 20,
    default: '1GiB',
    help: 'Memory for keys and values of responses and shared prompt beginnings; a context that does not fit is cut.',
  }),
  prefixSharing: choice({
    env: 'PLATEAU_PREFIX_SHARING',
    of: ['tenant', 'all'],
    default: 'tenant',
    help: "Whose prompts copy the beginnings of earlier ones. tenant: each tenant its own; all: everybody's, and how fast an answer begins tells what others asked.",
  }),
  address: address({
    env: 'PLATEAU_TARGET_ADDRESS',
    default: '127.0.0.1:7070',
    help: 'Where the gRPC service listens.',
  }),
  threads: optional(
    integer({
      env: 'PLATEAU_THREADS',
      min: 1,
      max: 256,
      help: 'Threads of one step; not set: as many as pay, measured for a second at the first start.',
    }),
  ),
  topK: integer({
    env: 'PLATEAU_TOP_K',
    min: 1,
    max: 4096,
    default: 64,
    help: 'Most probable tokens that a captured distribution lists.',
  }),
  maxSequences: integer({
    env: 'PLATEAU_MAX_SEQUENCES',
    min: 1,
    max: 1024,
    default: 8,
    help: 'Responses decoded at once, as one batch.',
  }),
  maxWaiting: integer({
    env: 'PLATEAU_MAX_WAITING',
    default: 64,
    help: 'Responses that may wait for a place; further ones are refused with RESOURCE_EXHAUSTED.',
  }),
  maxProposal: integer({
    env: 'PLATEAU_MAX_PROPOSAL',
    min: 1,
    max: 128,
    default: 16,
    help: 'Most tokens that a draft may propose in one round.',
  }),
  idleMs: seconds({
    env: 'PLATEAU_IDLE_SECONDS',
    min: 1,
    default: 60,
    help: 'A Speculate stream that proposes nothing for this long loses its place.',
  }),
  capture: flag({
    env: 'PLATEAU_CAPTURE',
    default: 'on',
    help: 'Stream distributions of consented responses to the event log.',
  }),
  windowPositions: integer({
    env: 'PLATEAU_WINDOW_POSITIONS',
    min: 1,
    max: 1024,
    default: 128,
    help: 'Most positions of one captured window.',
  }),
  captureQueueBytes: bytes({
    env: 'PLATEAU_CAPTURE_QUEUE_BYTES',
    min: 1024,
    default: '16MiB',
    help: 'Captured windows waiting for the event log; what does not fit is shed and counted.',
  }),
  redactionModule: optional(
    existingPath({
      env: 'PLATEAU_REDACTION_MODULE',
      help: 'An ES module whose default export sees each captured window before it is published: README, Redaction.',
    }),
  ),
})

const transport = transportConfig('target-model')

export const targetModelConfig = mergeConfigs(
  ownConfig,
  defineConfig(
    { ...transport.fields, address: ownConfig.fields.address },
    { refuse: [...transport.refusals, (values) => plaintextRefusal('PLATEAU_TARGET_ADDRESS', values.address, values)] },
  ),
)
