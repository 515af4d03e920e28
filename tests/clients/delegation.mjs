// Delegations, made and looked at by docs/delegation.md with nothing of ours.
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import plcLib from '@did-plc/lib'
import { encode } from '@ipld/dag-cbor'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import * as digest from 'multiformats/hashes/digest'

/**
 * A statement about `did` at the head of the log `log`, in JSON. A key has `did()` and `sign(bytes)`; without one, the
 * statement ends the delegation.
 */
export async function statementAt(log, did, key, endorser) {
  const body = {
    $type: 'dev.housekey.delegation.defs#statement',
    did,
    id: 'e2ee',
    key: key?.did() ?? null,
    prev: log.findLast(({ nullified }) => !nullified).cid,
    endorsed: endorser !== undefined,
    createdAt: new Date().toISOString(),
  }
  const signed = encode(body)
  return {
    ...body,
    ...(key && { claim: bytes(await key.sign(signed)) }),
    ...(endorser && { endorsement: bytes(await endorser.sign(signed)) }),
  }
}

/** The CID of what is signed. */
export function cidOf({ claim, endorsement, ...body }) {
  const hash = createHash('sha256').update(encode(body)).digest()
  return CID.createV1(0x71, digest.create(0x12, hash)).toString()
}

/** Bytes in JSON. */
export const bytes = (value) => ({ $bytes: Buffer.from(value).toString('base64').replace(/=+$/, '') })

/** An Ed25519 key in the shape of @atproto/crypto's key pairs. */
export const Ed25519Keypair = {
  create: async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
    const did = `did:key:${base58btc.encode(Buffer.concat([Buffer.from([0xed, 0x01]), raw]))}`
    return { did: () => did, sign: async (message) => sign(null, message, privateKey) }
  },
}

const APP = 'com.example.chat'

/**
 * A server and its PLC directory, asked with `fetch` alone. `writtenKey` gives the text that the directory's documents have
 * for a did:key.
 */
export class Site {
  constructor({ pds, plc }, writtenKey) {
    Object.assign(this, { pds, plc, writtenKey })
  }

  async signUp(handle) {
    const input = { handle, email: `${handle}@example.com`, password: 'correct horse' }
    const { status, body } = await this.post('com.atproto.server.createAccount', input)
    assert.equal(status, 200, JSON.stringify(body))
    const call = (method, input) => this.post(`dev.housekey.delegation.${method}`, input, body.accessJwt)
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

  /** A delegation from its beginning to its end, with everything looked at after each step. */
  async wholeLife(handle, Keypair) {
    const owner = await this.signUp(handle)
    const [first, second] = [await Keypair.create(), await Keypair.create()]
    const created = await this.statement(owner, first)
    const made = await owner.post('createDelegation', { statement: created })
    assert.deepEqual([made.state, made.key, made.statement], ['active', first.did(), cidOf(created)])
    await this.agrees(owner, first, 'active', [created], {})

    const entry = await appData(owner, first, { hello: 'world', bytes: { $bytes: 'AQID' } })
    await owner.post('putAssociatedData', { entry })
    await this.agrees(owner, first, 'active', [created], { [APP]: entry })

    const rotated = await this.statement(owner, second, first)
    await owner.post('updateDelegation', { statement: rotated })
    await this.agrees(owner, second, 'active', [created, rotated], {})

    const ended = await this.statement(owner, null, second)
    assert.equal((await owner.post('deleteDelegation', { statement: ended })).state, 'ended')
    await this.agrees(owner, null, 'ended', [created, rotated, ended], {})
  }

  /** Document, audit log, records, methods and the .well-known resource say the same. */
  async agrees(owner, key, state, statements, apps) {
    const named = key?.did()
    const document = (await get(`${this.plc}/${owner.did}`)).body
    const method = document.verificationMethod.find(({ id }) => id.endsWith('#e2ee'))
    assert.equal(method?.publicKeyMultibase, named && this.writtenKey(named), 'the document')

    const log = await this.auditLog(owner.did)
    assert.equal(log.at(-1).operation.verificationMethods.e2ee, named, 'the audit log')
    assert.equal(log.filter(({ operation }) => operation.verificationMethods.e2ee).length, statements.length - (key ? 0 : 1))
    await plcLib.validateOperationLog(owner.did, log.map(({ operation }) => operation))

    const stored = await this.records(owner, 'statement')
    assert.deepEqual(byKey(stored), byKey(statements.map((statement) => ({ rkey: `e2ee:${cidOf(statement)}`, value: statement }))))
    const entries = await this.records(owner, 'data')
    assert.deepEqual(byKey(entries), byKey(Object.entries(apps).map(([app, entry]) => ({ rkey: `e2ee:${app}`, value: entry }))))

    const query = async (method) => {
      const { status, body } = await get(`${this.pds}/xrpc/dev.housekey.delegation.${method}?actor=${owner.did}`)
      assert.equal(status, 200, JSON.stringify(body))
      return body
    }
    const found = await query('getDelegation')
    assert.deepEqual([found.did, found.id, found.key, found.state], [owner.did, 'e2ee', named, state])
    assert.deepEqual(new Set(found.statements.map(cidOf)), new Set(statements.map(cidOf)))
    const data = await query('getAssociatedData')
    assert.deepEqual([data.statement, data.apps], [statements.at(-1), apps])

    const known = await get(`${this.pds}/.well-known/atproto-delegation?did=${owner.did}&id=e2ee`)
    assert.deepEqual(known.body, { version: 1, did: owner.did, id: 'e2ee', statement: statements.at(-1), apps })
  }

  /** A statement at the head of the log; without a key it ends the delegation. */
  async statement(owner, key, endorser) {
    return statementAt(await this.auditLog(owner.did), owner.did, key, endorser)
  }

  async auditLog(did) {
    return (await get(`${this.plc}/${did}/log/audit`)).body
  }

  /** The signed maps in one of the two collections, with their record keys. */
  async records(owner, name) {
    const collection = `dev.housekey.delegation.${name}`
    const { body } = await get(`${this.pds}/xrpc/com.atproto.repo.listRecords?repo=${owner.did}&collection=${collection}`)
    return body.records.map(({ uri, value }) => ({ rkey: uri.split('/').pop(), value: value.statement ?? value.entry }))
  }

  async post(nsid, input, token) {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const response = await fetch(`${this.pds}/xrpc/${nsid}`, { method: 'POST', headers, body: JSON.stringify(input) })
    return { status: response.status, body: await response.json() }
  }
}

export async function get(url) {
  const response = await fetch(url)
  return { status: response.status, body: await response.json() }
}

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
