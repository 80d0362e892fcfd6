// `node make-secrets.mjs DIRECTORY`: the secrets of the composition, each in a folder of its own, owned by who reads it.
// What is there already is kept: checkpoints are signed with the key, and Grafana's data with its password.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const PLATEAU = 10001
const GRAFANA = 472

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: make-secrets.mjs DIRECTORY')

/** Owner's only, under its last name from the moment that it is whole. */
function write(folder, name, owner, text) {
  const file = join(directory, folder, name)
  const unfinished = `${file}.new`
  writeFileSync(unfinished, text, { mode: 0o400 })
  give(unfinished, owner, 0o400)
  renameSync(unfinished, file)
}

function give(path, owner, mode) {
  chmodSync(path, mode)
  // Only root can, and only in a container does it have to.
  if (process.getuid() === 0) chownSync(path, owner, owner)
}

function once(folder, owner, name, make) {
  mkdirSync(join(directory, folder), { recursive: true })
  const isThere = existsSync(join(directory, folder, name))
  if (!isThere) make()
  give(join(directory, folder), owner, 0o700)
  console.log(`${folder}/${name}: ${isThere ? 'kept' : 'made'}`)
}

const secret = () => randomBytes(24).toString('base64url')

// The public half is written first: when it is there and the private one is not, both are made again.
once('signing-key', PLATEAU, 'signing.pem', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  mkdirSync(join(directory, 'verify-key'), { recursive: true })
  write('verify-key', 'signing.pem.pub', PLATEAU, publicKey.export({ type: 'spki', format: 'pem' }))
  write('signing-key', 'signing.pem', PLATEAU, privateKey.export({ type: 'pkcs8', format: 'pem' }))
})
give(join(directory, 'verify-key'), PLATEAU, 0o700)
once('s3-keys', PLATEAU, 'secret-access-key', () => {
  write('s3-keys', 'access-key-id', PLATEAU, `plateau-${randomBytes(6).toString('hex')}`)
  write('s3-keys', 'secret-access-key', PLATEAU, secret())
})
once('console-token', PLATEAU, 'token', () => write('console-token', 'token', PLATEAU, secret()))
once('grafana-password', GRAFANA, 'admin-password', () =>
  write('grafana-password', 'admin-password', GRAFANA, secret()),
)
mkdirSync(join(directory, 's3-data'), { recursive: true })
give(join(directory, 's3-data'), PLATEAU, 0o700)
