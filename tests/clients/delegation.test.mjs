// Delegations of all three kinds of keys on the embedded PLC directory, by a stock HTTP client.
import { after, before, test } from 'node:test'
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto'
import { Ed25519Keypair, Site } from './delegation.mjs'
import { startHousekey } from './housekey.mjs'

let server, site
before(async () => {
  server = await startHousekey('--accounts', '')
  site = new Site(server, (key) => key.slice('did:key:'.length))
})
after(() => server.stop())

for (const [name, Keypair] of [['Ed25519', Ed25519Keypair], ['P-256', P256Keypair], ['K-256', Secp256k1Keypair]]) {
  test(`a delegation of kind ${name} is created, rotated and ended, and everything agrees after each step`, () =>
    site.wholeLife(`${name.toLowerCase()}.test`, Keypair))
}
