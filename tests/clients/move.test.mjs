// Moves by hand, with nothing but the stock client's calls: npm's @atproto/pds → Housekey, and Housekey → npm's PDS → another
// Housekey with a delegation that goes along. `housekey migrate` has tests of its own.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { P256Keypair } from '@atproto/crypto'
import Database from 'better-sqlite3'
import { cidOf, statementAt } from './delegation.mjs'
import { BINARY, PNG, serveHousekey, signingKey, startHousekey } from './housekey.mjs'
import { startReferencePds } from './reference_pds.mjs'

const PASSWORD = 'correct horse battery'
const STATEMENTS = 'dev.housekey.delegation.statement'
const CAR = 'application/vnd.ipld.car'
const CODE = /\b[A-Z2-7]{5}-[A-Z2-7]{5}\b/
const PREFERENCES = [
  { $type: 'app.bsky.actor.defs#personalDetailsPref', birthDate: '1990-05-05T00:00:00.000Z' },
  { $type: 'app.bsky.actor.defs#adultContentPref', enabled: false },
]

let house, npm, other
before(async () => {
  const dev = await startHousekey('--accounts', '')
  house = { url: dev.pds, plc: dev.plc, stop: dev.stop, code: ({ session }) => mailedCode(dev.pds, session.handle) }
  // Preferences need a service to be named there; nobody listens.
  const env = { PDS_BSKY_APP_VIEW_URL: 'http://127.0.0.1:9', PDS_BSKY_APP_VIEW_DID: 'did:web:appview.example.com' }
  const reference = await startReferencePds({ plc: dev.plc, env })
  npm = { url: reference.url, stop: reference.remove, code: ({ did }) => storedCode(reference.directory, did) }
  const second = await serveHousekey(dev.plc)
  other = { url: second.pds, stop: second.stop }
})
after(async () => {
  for (const server of [other, npm, house]) await server?.stop()
})

test('an account moves from npm to Housekey by the standard calls, with everything that it has', async () => {
  const old = await signUp(npm, 'arriving')
  await fill(old, 5)
  const before = await contents(old)
  const moved = await move(old, npm, house)
  assert.deepEqual(await contents(moved), before)
  const { uri } = await moved.post({ text: 'at home', createdAt: new Date().toISOString() })
  assert.ok(uri.startsWith(`at://${old.did}/`))
})

test('a delegation goes along from Housekey to npm, is verified there, and goes on at another Housekey', async () => {
  const old = await signUp(house, 'leaving')
  const { did } = old
  await fill(old, 3)
  const [first, second] = [await P256Keypair.create(), await P256Keypair.create()]
  const created = await statement(did, first)
  await delegate(old, 'createDelegation', { statement: created })
  assert.equal(await named(did), first.did())

  const before = await contents(old)
  const away = await move(old, house, npm)
  assert.deepEqual(await contents(away), before)
  assert.equal(await named(did), first.did(), 'its key is still in the DID document')
  assert.deepEqual(await statements(away), [cidOf(created)], 'and its statement in the repository')
  const there = await verify(did)
  assert.deepEqual([there.code, there.verdict.status, there.verdict.complete, there.verdict.resets], [0, 'verified', true, []])

  const back = await move(away, npm, other)
  assert.deepEqual(await contents(back), before)
  const found = await get(`${other.url}/xrpc/dev.housekey.delegation.getDelegation?actor=${did}`)
  assert.deepEqual([found.state, found.key, found.statements.map(cidOf)], ['active', first.did(), [cidOf(created)]])
  const rotated = await statement(did, second, first)
  await delegate(back, 'updateDelegation', { statement: rotated })
  assert.equal(await named(did), second.did())
  assert.deepEqual((await verify(did)).verdict.resets, [])
  const ended = await statement(did, null, second)
  assert.equal((await delegate(back, 'deleteDelegation', { statement: ended })).state, 'ended')
  assert.equal(await named(did), undefined)
  const over = await verify(did)
  assert.deepEqual([over.code, over.verdict.status, over.verdict.resets], [4, 'ended', []])
})

/** Moves an account: what a client does that knows only com.atproto. Gives its agent at the new server. */
async function move(old, from, to) {
  const { did } = old
  const handle = old.session.handle
  const agent = new AtpAgent({ service: to.url })
  const { data: about } = await agent.com.atproto.server.describeServer()
  const lxm = 'com.atproto.server.createAccount'
  const { data: auth } = await old.com.atproto.server.getServiceAuth({ aud: about.did, lxm })
  await agent.com.atproto.server.createAccount(
    { handle, email: `${handle}@example.com`, password: PASSWORD, did },
    { headers: { authorization: `Bearer ${auth.token}` }, encoding: 'application/json' },
  )
  await agent.login({ identifier: did, password: PASSWORD })
  const { data: car } = await old.com.atproto.sync.getRepo({ did })
  await agent.com.atproto.repo.importRepo(car, { encoding: CAR })
  const { data: missing } = await agent.com.atproto.repo.listMissingBlobs({})
  assert.equal(missing.blobs.length, 1)
  for (const { cid } of missing.blobs) {
    const { data, headers } = await old.com.atproto.sync.getBlob({ did, cid })
    await agent.com.atproto.repo.uploadBlob(data, { encoding: headers['content-type'] })
  }
  assert.deepEqual((await agent.com.atproto.repo.listMissingBlobs({})).data.blobs, [])
  const { data: kept } = await old.app.bsky.actor.getPreferences({})
  await agent.app.bsky.actor.putPreferences(kept)

  const [here, there] = [await status(old), await status(agent)]
  assert.deepEqual([here.activated, here.validDid, there.activated, there.validDid], [true, true, false, false])
  for (const field of ['indexedRecords', 'expectedBlobs', 'importedBlobs']) assert.equal(there[field], here[field], field)
  // npm's PDS does not count them.
  if (to !== npm) assert.equal(there.privateStateValues, PREFERENCES.length)
  await assert.rejects(agent.com.atproto.server.activateAccount(), 'the DID does not name it yet')

  const { data: credentials } = await agent.com.atproto.identity.getRecommendedDidCredentials()
  await old.com.atproto.identity.requestPlcOperationSignature()
  const token = await from.code(old)
  const { data: signed } = await old.com.atproto.identity.signPlcOperation({ token, ...credentials })
  await agent.com.atproto.identity.submitPlcOperation({ operation: signed.operation })
  await agent.com.atproto.server.activateAccount()
  await old.com.atproto.server.deactivateAccount({})

  const [left, arrived] = [await status(old), await status(agent)]
  assert.deepEqual([left.activated, left.validDid, arrived.activated, arrived.validDid], [false, false, true, true])
  assert.equal(await signingKey(house.plc, did), credentials.verificationMethods.atproto)
  return agent
}

const status = async (agent) => (await agent.com.atproto.server.checkAccountStatus()).data

/** A new account `<name>.test`. */
async function signUp(server, name) {
  const agent = new AtpAgent({ service: server.url })
  await agent.createAccount({ handle: `${name}.test`, email: `${name}.test@example.com`, password: PASSWORD })
  return agent
}

/** Posts, a picture and preferences. */
async function fill(agent, posts) {
  for (let n = 0; n < posts; n++) await agent.post({ text: `post ${n}`, createdAt: new Date().toISOString() })
  const { data } = await agent.uploadBlob(PNG, { encoding: 'image/png' })
  await agent.com.atproto.repo.putRecord({
    repo: agent.did,
    collection: 'app.bsky.actor.profile',
    rkey: 'self',
    record: { $type: 'app.bsky.actor.profile', displayName: 'A mover', avatar: data.blob },
  })
  await agent.app.bsky.actor.putPreferences({ preferences: PREFERENCES })
}

/** What a move must keep: records with their CIDs, the picture, preferences. */
async function contents(agent) {
  const { did } = agent
  const records = []
  const { data: repo } = await agent.com.atproto.repo.describeRepo({ repo: did })
  for (const collection of repo.collections.sort()) {
    const { data } = await agent.com.atproto.repo.listRecords({ repo: did, collection, limit: 100 })
    records.push(...data.records.map(({ uri, cid }) => [uri, cid]))
  }
  const { data: blobs } = await agent.com.atproto.sync.listBlobs({ did })
  const { data: picture } = await agent.com.atproto.sync.getBlob({ did, cid: blobs.cids[0] })
  assert.deepEqual(new Uint8Array(picture), PNG)
  const { data: preferences } = await agent.app.bsky.actor.getPreferences({})
  return { handle: repo.handle, records, blobs: blobs.cids, preferences }
}

/** The statements in the repository, by their CIDs. */
async function statements(agent) {
  const { data } = await agent.com.atproto.repo.listRecords({ repo: agent.did, collection: STATEMENTS })
  return data.records.map(({ uri }) => uri.split(':').pop())
}

const statement = async (did, key, endorser) => statementAt(await get(`${house.plc}/${did}/log/audit`), did, key, endorser)

/** The delegate key in the DID's latest operation. */
const named = async (did) => (await get(`${house.plc}/${did}/data`)).verificationMethods.e2ee

async function delegate(agent, method, input) {
  const response = await agent.sessionManager.fetchHandler(`/xrpc/dev.housekey.delegation.${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
  })
  const body = await response.json()
  assert.equal(response.status, 200, JSON.stringify(body))
  return body
}

/** What `housekey verify` says to a stranger. */
const verify = (did) =>
  new Promise((resolve) => {
    execFile(BINARY, ['verify', did, '--plc', house.plc, '--json'], (error, stdout, stderr) => {
      const code = error?.code ?? 0
      assert.ok(stdout, `${code}: ${stderr}`)
      resolve({ code, verdict: JSON.parse(stdout) })
    })
  })

/** The code in the latest mail of a development server to an account; it may be on its way. */
async function mailedCode(url, handle) {
  const end = Date.now() + 10_000
  while (Date.now() < end) {
    const { mails } = await get(`${url}/dev/mail`)
    const mail = mails.find(({ to, text }) => to === `${handle}@example.com` && CODE.test(text))
    if (mail) return mail.text.match(CODE)[0]
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(`no code for ${handle} was mailed within ten seconds`)
}

/** The code that npm's PDS would have mailed: it keeps codes as they are. */
function storedCode(directory, did) {
  const database = new Database(join(directory, 'account.sqlite'), { readonly: true })
  const row = database.prepare("SELECT token FROM email_token WHERE purpose = 'plc_operation' AND did = ?").get(did)
  database.close()
  return row.token
}

async function get(url) {
  const response = await fetch(url, { headers: { accept: 'application/json' } })
  const body = await response.json()
  assert.equal(response.status, 200, JSON.stringify(body))
  return body
}
