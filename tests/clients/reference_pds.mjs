// npm's @atproto/pds as a process of its own on loopback: moves go to and from it, and its data directory is adopted.
// better-sqlite3 must have been built (`./check clients` does).
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/**
 * Starts it against a PLC directory (an origin on loopback). What it answers: its `url`, its `pid`, its data `directory`, the
 * `envFile` beside the data with all settings, as a self-hoster's pds.env, `adminPassword`, and
 *
 * - `stop()`: ends it; the directory stays
 * - `kill()`: the same without a chance to tidy up
 * - `start()`: starts it again on the same port
 * - `remove()`: ends it and removes the directory
 * - `admin(nsid, input)`: a procedure as the administrator
 *
 * `env` adds settings (PDS_…), `port` fixes the port.
 */
export async function startReferencePds({ plc, env = {}, port } = {}) {
  const root = await mkdtemp(join(tmpdir(), 'reference-pds-'))
  const directory = join(root, 'pds')
  await mkdir(join(directory, 'blocks'), { recursive: true })
  port ??= await freePort()
  const adminPassword = randomBytes(12).toString('hex')
  const settings = {
    PDS_HOSTNAME: 'localhost',
    PDS_PORT: String(port),
    PDS_JWT_SECRET: randomBytes(16).toString('hex'),
    PDS_ADMIN_PASSWORD: adminPassword,
    PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: randomBytes(32).toString('hex'),
    PDS_DATA_DIRECTORY: directory,
    PDS_BLOBSTORE_DISK_LOCATION: join(directory, 'blocks'),
    PDS_DID_PLC_URL: plc,
    PDS_SERVICE_HANDLE_DOMAINS: '.test',
    PDS_INVITE_REQUIRED: 'false',
    // Other servers of the test are plain http on loopback.
    PDS_DEV_MODE: 'true',
    PDS_DISABLE_SSRF_PROTECTION: 'true',
    LOG_ENABLED: 'false',
    ...env,
  }
  const envFile = join(directory, 'pds.env')
  await writeFile(envFile, Object.entries(settings).map(([name, value]) => `${name}=${value}\n`).join(''), { mode: 0o600 })

  const url = `http://localhost:${port}`
  let child
  const start = async () => {
    // Its environment is these settings alone.
    const { PATH, HOME, TMPDIR } = process.env
    child = spawn(process.execPath, [import.meta.filename], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH, HOME, ...(TMPDIR && { TMPDIR }), ...settings },
    })
    child.ended = new Promise((resolve) => child.once('exit', resolve))
    const lines = createInterface({ input: child.stdout })
    const ready = new Promise((resolve) => lines.once('line', resolve))
    const failed = child.ended.then((code) => Promise.reject(new Error(`the reference PDS ended with ${code} before it was ready`)))
    await Promise.race([ready, failed])
  }
  const end = async (signal) => {
    child.kill(signal)
    await child.ended
  }
  const stop = () => end('SIGTERM')
  await start()
  return {
    url,
    get pid() {
      return child.pid
    },
    directory,
    envFile,
    adminPassword,
    settings,
    start,
    stop,
    kill: () => end('SIGKILL'),
    remove: async () => {
      await stop()
      await rm(root, { recursive: true })
    },
    admin: async (nsid, input) => {
      const response = await fetch(`${url}/xrpc/${nsid}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Basic ${btoa(`admin:${adminPassword}`)}`,
        },
        body: JSON.stringify(input),
      })
      const body = await response.text()
      if (!response.ok) throw new Error(`${nsid}: ${response.status} ${body}`)
      return body ? JSON.parse(body) : {}
    },
  }
}

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

if (process.argv[1] === import.meta.filename) {
  const { PDS } = await import('@atproto/pds')
  await PDS.run({ onStarted: () => console.log('ready') })
}
