// Starts the real binary (`housekey dev --json` on free ports) and stops it again.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** The binary under test. */
export const BINARY = process.env.HOUSEKEY_BIN ?? 'housekey'

/** A running development server: what its ready line says, and `stop`. */
export async function startHousekey(...flags) {
  const child = spawn(BINARY, ['dev', '--json', '--port', '0', '--plc-port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`housekey ended with ${code} before it was ready`)))
  })
  const ready = JSON.parse(line)
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
