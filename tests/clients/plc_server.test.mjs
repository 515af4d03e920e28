// npm's @did-plc/server as the PLC directory of `housekey serve`: the key types that it knows, and the one that it
// refuses. Statements are made here, by docs/delegation.md.
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { bytesToMultibase, P256Keypair, parseDidKey, Secp256k1Keypair } from '@atproto/crypto'
import plcLib from '@did-plc/lib'
import plcServer from '@did-plc/server'
import { encode } from '@ipld/dag-cbor'
import { base58btc } from 'multiformats/bases/base58'
import { bytes, cidOf, statementAt } from './delegation.mjs'
import { serveHousekey } from './housekey.mjs'

const APP = 'com.example.chat'

let directory, plc, server
before(async () => {
  const { app } = plcServer.PlcServer.create({ db: plcServer.Database.mock() })
  directory = app.listen(0, '127.0.0.1')
  await once(directory, 'listening')
  plc = `http://127.0.0.1:${directory.address().port}`
  server = await serveHousekey(plc)
})
after(async () => {
  await server?.stop()
  directory.close()
  directory.closeAllConnections()
})

for (const [name, Keypair] of [['P-256', P256Keypair], ['K-256', Secp256k1Keypair]]) {
  test(`a ${name} delegation is created, rotated and ended, and everything agrees after each step`, async () => {
    const owner = await signUp(`${name.toLowerCase()}.test`)
    const [first, second] = [await Keypair.create(), await Keypair.create()]
    const created = await statement(owner, first)
    const made = await owner.post('createDelegation', { statement: created })
    assert.deepEqual([made.state, made.key, made.statement], ['active', first.did(), cidOf(created)])
    await agrees(owner, first, 'active', [created], {})

    const entry = await appData(owner, first, { hello: 'world', bytes: { $bytes: 'AQID' } })
    await owner.post('putAssociatedData', { entry })
    await agrees(owner, first, 'active', [created], { [APP]: entry })

    const rotated = await statement(owner, second, first)
    await owner.post('updateDelegation', { statement: rotated })
    await agrees(owner, second, 'active', [created, rotated], {})

    const ended = await statement(owner, null, second)
    assert.equal((await owner.post('deleteDelegation', { statement: ended })).state, 'ended')
    await agrees(owner, null, 'ended', [created, rotated, ended], {})
  })
}

test('its refusal of an Ed25519 key comes back as PlcRejected in its words, and nothing has changed', async () => {
  const owner = await signUp('ed25519.test')
  const key = ed25519()
  const before = await auditLog(owner.did)
  const refused = await owner.call('createDelegation', { statement: await statement(owner, key) })
  assert.deepEqual([refused.status, refused.body.error], [400, 'PlcRejected'])
  assert.match(refused.body.message, /Unsupported key/)
  assert.deepEqual(await auditLog(owner.did), before)
  const found = await get(`${server.pds}/xrpc/dev.housekey.delegation.getDelegation?actor=${owner.did}`)
  assert.deepEqual([found.status, found.body.error], [404, 'DelegationNotFound'])
  assert.deepEqual(await records(owner, 'statement'), [])

  const known = await P256Keypair.create()
  const made = await owner.post('createDelegation', { statement: await statement(owner, known) })
  assert.equal(made.state, 'active', 'the account is not stuck')
})

/** Document, audit log, records, methods and the .well-known resource say the same. */
async function agrees(owner, key, state, statements, apps) {
  const named = key?.did()
  const document = (await get(`${plc}/${owner.did}`)).body
  const method = document.verificationMethod.find(({ id }) => id.endsWith('#e2ee'))
  // This directory writes keys in the older form: the bare point, uncompressed.
  const point = named && bytesToMultibase(parseDidKey(named).keyBytes, 'base58btc')
  assert.equal(method?.publicKeyMultibase, point, 'the document')

  const log = await auditLog(owner.did)
  assert.equal(log.at(-1).operation.verificationMethods.e2ee, named, 'the audit log')
  assert.equal(log.length, statements.length + 1)
  await plcLib.validateOperationLog(owner.did, log.map(({ operation }) => operation))

  const stored = await records(owner, 'statement')
  assert.deepEqual(byKey(stored), byKey(statements.map((statement) => ({ rkey: `e2ee:${cidOf(statement)}`, value: statement }))))
  const entries = await records(owner, 'data')
  assert.deepEqual(byKey(entries), byKey(Object.entries(apps).map(([app, entry]) => ({ rkey: `e2ee:${app}`, value: entry }))))

  const query = async (method) => {
    const { status, body } = await get(`${server.pds}/xrpc/dev.housekey.delegation.${method}?actor=${owner.did}`)
    assert.equal(status, 200, JSON.stringify(body))
    return body
  }
  const found = await query('getDelegation')
  assert.deepEqual([found.did, found.id, found.key, found.state], [owner.did, 'e2ee', named, state])
  assert.deepEqual(new Set(found.statements.map(cidOf)), new Set(statements.map(cidOf)))
  const data = await query('getAssociatedData')
  assert.deepEqual([data.statement, data.apps], [statements.at(-1), apps])

  const known = await get(`${server.pds}/.well-known/atproto-delegation?did=${owner.did}&id=e2ee`)
  assert.deepEqual(known.body, { version: 1, did: owner.did, id: 'e2ee', statement: statements.at(-1), apps })
}

/** A statement at the head of the log; without a key it ends the delegation. */
const statement = async (owner, key, endorser) => statementAt(await auditLog(owner.did), owner.did, key, endorser)

/** An entry of associated data; bytes in `data` are written as in JSON. */
async function appData(owner, key, data) {
  const body = {
    $type: 'dev.housekey.delegation.defs#appData',
    did: owner.did,
    id: 'e2ee',
    key: key.did(),
    app: APP,
    rev: tid(),
    expiresAt: new Date(Date.now() + 30 * 24 * 3600 * 1000).toISOString(),
  }
  const binary = Object.entries(data).map(([name, value]) => [name, value.$bytes ? Buffer.from(value.$bytes, 'base64') : value])
  const sig = bytes(await key.sign(encode({ ...body, data: Object.fromEntries(binary) })))
  return { ...body, data, sig }
}

const byKey = (list) => new Map(list.map(({ rkey, value }) => [rkey, value]))

/** A TID of now. */
function tid() {
  const digits = '234567abcdefghijklmnopqrstuvwxyz'
  let rest = (BigInt(Date.now()) * 1000n) << 10n
  let text = ''
  for (let n = 0; n < 13; n++, rest >>= 5n) text = digits[Number(rest & 31n)] + text
  return text
}

/** An Ed25519 key in the shape of the other ones. */
function ed25519() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  const did = `did:key:${base58btc.encode(Buffer.concat([Buffer.from([0xed, 0x01]), raw]))}`
  return { did: () => did, sign: async (message) => sign(null, message, privateKey) }
}

async function signUp(handle) {
  const input = { handle, email: `${handle}@example.com`, password: 'correct horse' }
  const { status, body } = await post('com.atproto.server.createAccount', input)
  assert.equal(status, 200, JSON.stringify(body))
  const call = (method, input) => post(`dev.housekey.delegation.${method}`, input, body.accessJwt)
  return {
    did: body.did,
    call,
    post: async (method, input) => {
      const { status, body } = await call(method, input)
      assert.equal(status, 200, JSON.stringify(body))
      return body
    },
  }
}

const auditLog = async (did) => (await get(`${plc}/${did}/log/audit`)).body

/** The signed maps in one of the two collections, with their record keys. */
async function records(owner, name) {
  const collection = `dev.housekey.delegation.${name}`
  const { body } = await get(`${server.pds}/xrpc/com.atproto.repo.listRecords?repo=${owner.did}&collection=${collection}`)
  return body.records.map(({ uri, value }) => ({ rkey: uri.split('/').pop(), value: value.statement ?? value.entry }))
}

async function post(nsid, input, token) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const response = await fetch(`${server.pds}/xrpc/${nsid}`, { method: 'POST', headers, body: JSON.stringify(input) })
  return { status: response.status, body: await response.json() }
}

async function get(url) {
  const response = await fetch(url)
  return { status: response.status, body: await response.json() }
}
