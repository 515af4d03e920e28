// npm's @did-plc/server as the PLC directory of `housekey serve`: the key types that it knows, and the one that it refuses.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { bytesToMultibase, P256Keypair, parseDidKey, Secp256k1Keypair } from '@atproto/crypto'
import plcServer from '@did-plc/server'
import { Ed25519Keypair, get, Site } from './delegation.mjs'
import { serveHousekey } from './housekey.mjs'

let directory, server, site
before(async () => {
  const { app } = plcServer.PlcServer.create({ db: plcServer.Database.mock() })
  directory = app.listen(0, '127.0.0.1')
  await once(directory, 'listening')
  const plc = `http://127.0.0.1:${directory.address().port}`
  server = await serveHousekey(plc)
  // This directory writes keys in the older form: the bare point, uncompressed.
  site = new Site({ pds: server.pds, plc }, (key) => bytesToMultibase(parseDidKey(key).keyBytes, 'base58btc'))
})
after(async () => {
  await server?.stop()
  directory.close()
  directory.closeAllConnections()
})

for (const [name, Keypair] of [['P-256', P256Keypair], ['K-256', Secp256k1Keypair]]) {
  test(`a ${name} delegation is created, rotated and ended, and everything agrees after each step`, () =>
    site.wholeLife(`${name.toLowerCase()}.test`, Keypair))
}

test('its refusal of an Ed25519 key comes back as PlcRejected in its words, and nothing has changed', async () => {
  const owner = await site.signUp('ed25519.test')
  const key = await Ed25519Keypair.create()
  const before = await site.auditLog(owner.did)
  const refused = await owner.call('createDelegation', { statement: await site.statement(owner, key) })
  assert.deepEqual([refused.status, refused.body.error], [400, 'PlcRejected'])
  assert.match(refused.body.message, /Unsupported key/)
  assert.deepEqual(await site.auditLog(owner.did), before)
  const found = await get(`${server.pds}/xrpc/dev.housekey.delegation.getDelegation?actor=${owner.did}`)
  assert.deepEqual([found.status, found.body.error], [404, 'DelegationNotFound'])
  assert.deepEqual(await site.records(owner, 'statement'), [])

  const known = await P256Keypair.create()
  const made = await owner.post('createDelegation', { statement: await site.statement(owner, known) })
  assert.equal(made.state, 'active', 'the account is not stuck')
})
