// Starts the real binary (`housekey dev --json` on free ports) and stops it again.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** The binary under test. */
export const BINARY = process.env.HOUSEKEY_BIN ?? 'housekey'

/** A running development server: what its ready line says, and `stop`. */
export async function startHousekey(...flags) {
  const child = spawn(BINARY, ['dev', '--json', '--port', '0', '--plc-port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const ready = await readyLine(child)
  return {
    ...ready,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** A 1×1 PNG. */
export const PNG = Uint8Array.from(
  atob('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='),
  (c) => c.charCodeAt(0),
)

/** The `#atproto` key of an account as did:key, read from the PLC directory by the stock PLC client. */
export async function signingKey(plcUrl, did) {
  const { Client } = await import('@did-plc/lib')
  const data = await new Client(plcUrl).getDocumentData(did)
  return data.verificationMethods.atproto
}

/**
 * `housekey serve` with another PLC directory, on loopback and with its data in a directory of its own; `settings` are
 * further variables.
 */
export async function serveHousekey(plc, settings = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'housekey-'))
  const port = await freePort()
  const pds = `http://localhost:${port}`
  const child = spawn(BINARY, ['serve', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: directory,
    env: {
      ...process.env,
      HOUSEKEY_SERVER_HOSTNAME: 'localhost',
      HOUSEKEY_SERVER_PUBLIC_URL: pds,
      HOUSEKEY_SERVER_LISTEN: `127.0.0.1:${port}`,
      HOUSEKEY_SERVER_DATA_DIR: directory,
      HOUSEKEY_IDENTITY_PLC_URL: plc,
      HOUSEKEY_IDENTITY_HANDLE_DOMAINS: '.test',
      HOUSEKEY_ACCOUNTS_INVITE_REQUIRED: 'false',
      HOUSEKEY_ADMIN_PASSWORD: 'admin password',
      HOUSEKEY_LOG_LEVEL: 'error',
      ...settings,
    },
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await readyLine(child)
  return {
    pds,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      await rm(directory, { recursive: true })
    },
  }
}

/** What a starting server prints when it is ready. */
const readyLine = (child) =>
  new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)))
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`housekey ended with ${code} before it was ready`)))
  })

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
