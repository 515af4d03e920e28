// @did-plc/lib against the embedded PLC directory.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Secp256k1Keypair } from '@atproto/crypto'
import plcLib from '@did-plc/lib'
import { startHousekey } from './housekey.mjs'

let server, client, key
before(async () => {
  server = await startHousekey('--accounts', 'alice')
  client = new plcLib.Client(server.plc)
  key = await Secp256k1Keypair.create()
})
after(() => server.stop())

const create = (handle) =>
  client.createDid({
    signingKey: key.did(),
    handle,
    pds: 'https://pds.example.com',
    rotationKeys: [key.did()],
    signer: key,
  })

test('the directory is healthy', async () => {
  assert.ok((await client.health()).version)
})

test('a DID is created, updated, read in every form and tombstoned', async () => {
  const did = await create('one.test')
  await client.updateHandle(did, key, 'two.test')
  const data = await client.getDocumentData(did)
  assert.deepEqual(data.alsoKnownAs, ['at://two.test'])
  const document = await client.getDocument(did)
  assert.equal(document.id, did)
  assert.equal(document.verificationMethod[0].type, 'Multikey')
  const log = await client.getOperationLog(did)
  assert.equal(log.length, 2)
  const audit = await client.getAuditableLog(did)
  assert.deepEqual(audit.map((entry) => entry.nullified), [false, false])
  await plcLib.validateOperationLog(did, log)
  assert.deepEqual(await client.getLastOp(did), log[1])
  await client.tombstone(did, key)
  await assert.rejects(client.getDocument(did), { status: 410 })
})

test('an operation of a stranger is refused and changes nothing', async () => {
  const did = await create('mine.test')
  const stranger = await Secp256k1Keypair.create()
  await assert.rejects(client.updateHandle(did, stranger, 'yours.test'), { status: 400 })
  assert.deepEqual((await client.getDocumentData(did)).alsoKnownAs, ['at://mine.test'])
})

test('the log of an account that the server made is valid', async () => {
  const [alice] = server.accounts
  const log = await client.getOperationLog(alice.did)
  const data = await plcLib.validateOperationLog(alice.did, log)
  assert.equal(data.alsoKnownAs[0], `at://${alice.handle}`)
  assert.equal(data.services.atproto_pds.endpoint, server.pds)
})

test('the export has every operation in order', async () => {
  const did = await create('export.test')
  const all = await client.export(undefined, 1000)
  const times = all.map((entry) => entry.createdAt)
  assert.deepEqual(times, [...times].sort())
  assert.ok(all.some((entry) => entry.did === did))
})

test('an unknown DID is not there', async () => {
  await assert.rejects(client.getDocument('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'), { status: 404 })
})
