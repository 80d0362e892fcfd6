import {
  checkpointsUrl,
  defineConfig,
  existingFile,
  mergeConfigs,
  optional,
  port,
  secret,
  text,
  type Values,
} from '@plateau/config'
import { checkpointsConfig } from '@plateau/service-kit'
import { statSync } from 'node:fs'
import { isLoopback } from './http/access.js'

/** Shortest token that is taken: it is all that stands between the page and whoever reaches its port. */
const LEAST_TOKEN_CHARACTERS = 16

const ownConfig = defineConfig(
  {
    host: text({ env: 'PLATEAU_CONSOLE_HOST', default: '127.0.0.1', help: 'Address that the page is served on.' }),
    port: port({ env: 'PLATEAU_CONSOLE_PORT', default: 8090, help: 'Port of the page.' }),
    token: optional(
      secret({
        env: 'PLATEAU_CONSOLE_TOKEN',
        help: 'Asked for as the password (any user name); needed where PLATEAU_CONSOLE_HOST is not of this machine alone.',
      }),
    ),
    verifyKeyFile: optional(
      existingFile({
        env: 'PLATEAU_VERIFY_KEY_FILE',
        help: 'Ed25519 public key (PEM) to check the signatures of manifests with, for show.',
      }),
    ),
  },
  {
    refuse: [
      ({ host, token }) =>
        token === undefined && !isLoopback(host)
          ? `PLATEAU_CONSOLE_HOST=${host} can be reached from other machines: set PLATEAU_CONSOLE_TOKEN_FILE`
          : undefined,
      ({ token }) =>
        token !== undefined && token.reveal().length < LEAST_TOKEN_CHARACTERS
          ? `PLATEAU_CONSOLE_TOKEN has fewer than ${LEAST_TOKEN_CHARACTERS} characters`
          : undefined,
    ],
  },
)

/** The page does without a store. */
const optionalStore = defineConfig(
  {
    checkpoints: optional(
      checkpointsUrl({
        env: 'PLATEAU_CHECKPOINTS',
        help: 'The checkpoint store, to read manifests from; without it a version shows only what the log says.',
      }),
    ),
  },
  {
    refuse: [
      ({ checkpoints: at }) =>
        at?.kind === 'directory' && statSync(at.directory, { throwIfNoEntry: false })?.isDirectory() !== true
          ? `PLATEAU_CHECKPOINTS=${JSON.stringify(at.directory)} is not a directory that exists`
          : undefined,
    ],
  },
)

export const consoleConfig = mergeConfigs(mergeConfigs(checkpointsConfig, optionalStore), ownConfig)

export type ConsoleConfig = Values<typeof consoleConfig.fields>
