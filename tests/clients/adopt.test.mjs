// `housekey adopt` on the data of npm's @atproto/pds: stopped, taken over, served at the same address; the stock client
// goes on with its sessions and finds everything.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { AtpAgent } from '@atproto/api'
import { readCarWithRoot, verifyRepoCar } from '@atproto/repo'
import Database from 'better-sqlite3'
import WebSocket from 'ws'
import { decodeMultiple } from './frames.mjs'
import { BINARY, PNG, startHousekey } from './housekey.mjs'
import { startReferencePds } from './reference_pds.mjs'

const PASSWORD = 'correct horse battery'

const PREFERENCES = [
  { $type: 'app.bsky.actor.defs#personalDetailsPref', birthDate: '1990-05-05T00:00:00.000Z' },
  { $type: 'app.bsky.actor.defs#adultContentPref', enabled: false },
  { $type: 'app.bsky.actor.defs#savedFeedsPrefV2', items: [{ id: '3k', type: 'timeline', value: 'following', pinned: true }] },
]

let plc, reference, root, house, agents, expected, phone, lostBlob, lostBlobIn
const appPasswords = {}
before(async () => {
  plc = await startHousekey()
  reference = await startReferencePds({
    plc: plc.plc,
    env: {
      PDS_BLOB_UPLOAD_LIMIT: '1000000',
      PDS_CONTACT_EMAIL_ADDRESS: 'admin@example.com',
      PDS_SERVICE_NAME: 'Old house',
      // Preferences need one to be named; nobody listens there.
      PDS_BSKY_APP_VIEW_URL: 'http://127.0.0.1:9',
      PDS_BSKY_APP_VIEW_DID: 'did:web:appview.example.com',
    },
  })
  root = await mkdtemp(join(tmpdir(), 'housekey-adopt-'))
  agents = await fill()
  expected = await observe(agents)
})
after(async () => {
  await house?.stop()
  await reference?.remove()
  await plc?.stop()
  await rm(root, { recursive: true, force: true })
})

test('a reference PDS that is running is left alone', async () => {
  const { code, stderr } = await adopt(reference.directory)
  assert.equal(code, 1)
  assert.match(stderr, /still running/)
  assert.deepEqual(await readdir(root), [])
})

test('a dry run verifies everything and makes nothing', async () => {
  // Killed, so that its databases have logs that were not written back.
  await reference.kill()
  expected.files = await fingerprint(reference.directory)
  assert.ok([...expected.files.keys()].some((name) => name.endsWith('account.sqlite-wal')))
  const { code, stdout, stderr } = await adopt(reference.directory, '--dry-run', '--json')
  assert.equal(code, 0, stderr)
  const report = JSON.parse(stdout)
  assert.deepEqual([report.dryRun, report.accounts.length], [true, 4])
  assert.deepEqual(await readdir(root), [])
})

test('a repository that was damaged is named, and nothing is taken over unless it is left out', async () => {
  const damaged = join(root, 'damaged')
  await cp(reference.directory, damaged, { recursive: true })
  const { did } = agents.alice
  const hash = createHash('sha256').update(did).digest('hex')
  const store = new Database(join(damaged, 'actors', hash.slice(0, 2), did, 'store.sqlite'))
  const { cid } = store.prepare("SELECT cid FROM record WHERE collection = 'app.bsky.feed.post' LIMIT 1").get()
  store.prepare('UPDATE repo_block SET content = ? WHERE cid = ?').run(Buffer.from('a163666f6f63626172', 'hex'), cid)
  store.close()
  const refused = await adopt(damaged)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, new RegExp(`${did}: .*${cid}`))
  assert.deepEqual(await readdir(root), ['damaged'])
  const { code, stdout, stderr } = await adopt(damaged, '--leave-out', did, '--json')
  assert.equal(code, 0, stderr)
  const report = JSON.parse(stdout)
  assert.deepEqual(report.leftOut, [did])
  assert.equal(report.accounts.length, 3)
  await rm(damaged, { recursive: true })
  await rm(join(root, 'house'), { recursive: true })
})

test('everything is taken over, and the original is what it was', async () => {
  // What an interrupted run leaves.
  await writeFile(join(root, 'notes'), '')
  const { code, stdout, stderr } = await adopt(reference.directory, '--json')
  assert.equal(code, 0, stderr)
  const report = JSON.parse(stdout)
  assert.equal(report.hostname, 'localhost')
  assert.equal(report.lastSeq, expected.seq)
  assert.ok(report.nextSeq > expected.seq)
  assert.equal(report.invites, 2)
  assert.equal(report.reservedKeys, 1)
  const alice = report.accounts.find(({ did }) => did === agents.alice.did)
  assert.deepEqual([alice.state, alice.blobs, alice.missingBlobs, alice.temporaryBlobs], ['active', 2, [], 1])
  assert.equal(alice.rev, expected.rev)
  assert.deepEqual([alice.preferences, alice.appPasswords], [PREFERENCES.length, 2])
  const bob = report.accounts.find(({ did }) => did === agents.bob.did)
  assert.deepEqual([bob.blobs, bob.missingBlobs, bob.preferences, bob.appPasswords], [0, [lostBlob], 0, 0])
  // All that is not taken over is said, and nothing else.
  assert.deepEqual(report.notTaken, ['1 codes that were mailed: who waits for one asks for another'])
  const states = Object.fromEntries(report.accounts.map(({ handle, state }) => [handle, state]))
  assert.deepEqual(states, { 'alice.test': 'active', 'bob.test': 'active', 'carol.test': 'deactivated', 'dave.test': 'takendown' })
  assert.deepEqual(report.settings.notTaken, ['PDS_SERVICE_NAME'])
  assert.deepEqual(await fingerprint(reference.directory), expected.files)
  const again = await adopt(reference.directory)
  assert.equal(again.code, 1)
  assert.match(again.stderr, /is there already/)
  for (const secret of await readdir(join(root, 'house', 'secrets'))) {
    assert.equal((await stat(join(root, 'house', 'secrets', secret))).mode & 0o777, 0o600, secret)
  }
  // Every repository, signature, index, event and blob, recomputed from what is stored.
  const audit = ['check', '--config', join(root, 'house', 'housekey.toml'), '--blobs', '--json']
  await promisify(execFile)(BINARY, audit)
})

test('the taken-over server answers where the reference did, with the same repositories', async () => {
  house = await serve(join(root, 'house', 'housekey.toml'))
  assert.equal(house.pds, reference.url)
  for (const name of ['alice', 'bob']) {
    const now = await repository(agents[name].did)
    assert.equal(now.root, expected.repos[name].root, name)
    assert.deepEqual(now.blocks, expected.repos[name].blocks, name)
  }
  const seen = await observe(agents)
  assert.deepEqual(seen.posts, expected.posts)
  assert.deepEqual(seen.blobs, expected.blobs)
})

test('sessions that were open go on', async () => {
  const { alice } = agents
  await alice.refresh()
  const { data } = await alice.agent.com.atproto.server.getSession()
  assert.deepEqual([data.did, data.handle, data.email], [alice.did, 'alice.test', 'alice@example.com'])
})

test('passwords are those of before', async () => {
  for (const name of ['alice', 'bob']) {
    const agent = new AtpAgent({ service: reference.url })
    await agent.login({ identifier: `${name}.test`, password: PASSWORD })
    assert.equal(agent.session.did, agents[name].did)
    await assert.rejects(agent.login({ identifier: `${name}.test`, password: 'another' }), { status: 401 })
  }
})

test('app passwords are those of before, with their rights, and those that were revoked are not', async () => {
  const { data: listed } = await owner().then((agent) => agent.com.atproto.server.listAppPasswords())
  assert.deepEqual(
    Object.fromEntries(listed.passwords.map(({ name, privileged }) => [name, privileged ?? false])),
    { phone: false, messenger: true },
  )
  // Twice: the first sign-in replaces the hash.
  for (const name of ['phone', 'messenger', 'phone', 'messenger']) {
    const agent = new AtpAgent({ service: reference.url })
    await agent.login({ identifier: 'alice.test', password: appPasswords[name] })
    await agent.post({ text: `from ${name}` })
    const { data } = await agent.app.bsky.actor.getPreferences()
    assert.ok(!data.preferences.some(({ $type }) => $type.endsWith('#personalDetailsPref')), 'no app sees the birth date')
    await assert.rejects(agent.com.atproto.server.createAppPassword({ name: 'more' }), name)
  }
  const agent = new AtpAgent({ service: reference.url })
  await assert.rejects(agent.login({ identifier: 'alice.test', password: appPasswords.revoked }), { status: 401 })
})

test('the session of an app password goes on as one, and ends with it', async () => {
  await phone.sessionManager.refreshSession()
  await phone.post({ text: 'still on the phone' })
  await assert.rejects(phone.com.atproto.server.createAppPassword({ name: 'more' }))
  await (await owner()).com.atproto.server.revokeAppPassword({ name: 'phone' })
  await assert.rejects(phone.com.atproto.server.refreshSession(undefined, {
    headers: { authorization: `Bearer ${phone.session.refreshJwt}` },
  }))
})

test('preferences are those of before, in their order', async () => {
  const { data } = await (await owner()).app.bsky.actor.getPreferences()
  assert.deepEqual(data.preferences.filter(({ $type }) => !$type.endsWith('#declaredAgePref')), PREFERENCES)
})

test('a blob that was lost there is a missing blob here, until it is uploaded', async () => {
  const { agent } = agents.bob
  await agents.bob.refresh()
  const missing = async () => (await agent.com.atproto.repo.listMissingBlobs()).data.blobs
  const counts = async () => {
    const { data } = await agent.com.atproto.server.checkAccountStatus()
    return [data.expectedBlobs, data.importedBlobs]
  }
  assert.deepEqual(await missing(), [{ cid: lostBlob, recordUri: lostBlobIn }])
  assert.deepEqual(await counts(), [1, 0])
  await agent.uploadBlob(new TextEncoder().encode('lost'), { encoding: 'text/plain' })
  assert.deepEqual(await missing(), [])
  assert.deepEqual(await counts(), [1, 1])
  const { data } = await (await owner()).com.atproto.repo.listMissingBlobs()
  assert.deepEqual(data.blobs, [])
})

test('what accounts use is what they brought', async () => {
  const admin = Buffer.from(`admin:${reference.adminPassword}`).toString('base64')
  const answer = await fetch(`${reference.url}/xrpc/com.atproto.admin.getAccountInfo?did=${agents.alice.did}`, {
    headers: { authorization: `Basic ${admin}` },
  })
  const { housekeyUsage } = await answer.json()
  const { records, bytes } = await usage(agents.alice.did)
  assert.deepEqual([housekeyUsage.records.used, housekeyUsage.recordBytes.used], [records, bytes])
  const sizes = Object.values(expected.blobs).map(([, content]) => Buffer.from(content, 'base64').length)
  assert.deepEqual([housekeyUsage.blobs.used, housekeyUsage.blobBytes.used], [2, sizes.reduce((all, size) => all + size)])
})

test('states are those of before', async () => {
  const status = async (did) => {
    const answer = await fetch(`${reference.url}/xrpc/com.atproto.sync.getRepoStatus?did=${did}`)
    return (await answer.json()).status
  }
  assert.equal(await status(agents.carol.did), 'deactivated')
  assert.equal(await status(agents.dave.did), 'takendown')
})

test('the event stream goes on: recent events are there, and new ones have greater numbers', async () => {
  const frames = subscribe(expected.seq - 2)
  const old = [await frames.next(), await frames.next()]
  assert.deepEqual(old.map(([, body]) => body.seq), [expected.seq - 1, expected.seq])
  await agents.alice.agent.post({ text: 'from the new house' })
  const [header, body] = await frames.next()
  assert.equal(header.t, '#commit')
  assert.ok(body.seq > expected.seq + 100, `${body.seq} leaves room behind ${expected.seq}`)
  assert.equal(body.since, expected.rev)
  frames.close()
})

test('the server can still change the identities of its accounts', async () => {
  await agents.bob.refresh()
  await agents.bob.agent.com.atproto.identity.updateHandle({ handle: 'robert.test' })
  const document = await (await fetch(`${plc.plc}/${agents.bob.did}`)).json()
  assert.deepEqual(document.alsoKnownAs, ['at://robert.test'])
  assert.equal(document.service[0].serviceEndpoint, reference.url)
})

/** Accounts with everything that there is to take over. */
async function fill() {
  const agents = {}
  for (const name of ['alice', 'bob', 'carol', 'dave']) {
    const agent = new AtpAgent({ service: reference.url })
    const { data } = await agent.createAccount({ handle: `${name}.test`, email: `${name}@example.com`, password: PASSWORD })
    agents[name] = {
      did: data.did,
      agent,
      // The agent itself would follow the DID document.
      refresh: () => agent.sessionManager.refreshSession(),
    }
  }
  const { alice, bob, carol, dave } = agents
  const { data: avatar } = await alice.agent.uploadBlob(PNG, { encoding: 'image/png' })
  await alice.agent.upsertProfile(() => ({ displayName: 'Alice', avatar: avatar.blob }))
  const { data: text } = await alice.agent.uploadBlob(new TextEncoder().encode('a long text'), { encoding: 'text/plain' })
  await alice.agent.com.atproto.repo.createRecord({
    repo: alice.did,
    collection: 'com.example.attachment',
    record: { $type: 'com.example.attachment', file: text.blob },
  })
  await alice.agent.uploadBlob(new TextEncoder().encode('never used'), { encoding: 'text/plain' })
  for (let n = 0; n < 40; n++) await alice.agent.post({ text: `post ${n}` })
  const posts = await alice.agent.com.atproto.repo.listRecords({ repo: alice.did, collection: 'app.bsky.feed.post', limit: 5 })
  for (const { uri } of posts.data.records.slice(0, 3)) await alice.agent.deletePost(uri)
  await bob.agent.follow(alice.did)
  await bob.agent.like(posts.data.records[4].uri, posts.data.records[4].cid)
  for (const [name, privileged] of [['phone', false], ['messenger', true], ['revoked', false]]) {
    const { data } = await alice.agent.com.atproto.server.createAppPassword({ name, privileged })
    appPasswords[name] = data.password
  }
  await alice.agent.com.atproto.server.revokeAppPassword({ name: 'revoked' })
  phone = new AtpAgent({ service: reference.url })
  await phone.login({ identifier: 'alice.test', password: appPasswords.phone })
  await alice.agent.app.bsky.actor.putPreferences({ preferences: PREFERENCES })
  // A record whose file was lost there.
  const { data: lost } = await bob.agent.uploadBlob(new TextEncoder().encode('lost'), { encoding: 'text/plain' })
  lostBlob = lost.blob.ref.toString()
  const attachment = await bob.agent.com.atproto.repo.createRecord({
    repo: bob.did,
    collection: 'com.example.attachment',
    record: { $type: 'com.example.attachment', file: lost.blob },
  })
  lostBlobIn = attachment.data.uri
  await rm(join(reference.directory, 'blocks', bob.did, lostBlob))
  await bob.agent.com.atproto.server.requestPasswordReset({ email: 'bob@example.com' })
  await reference.admin('com.atproto.server.createInviteCode', { useCount: 3 })
  await reference.admin('com.atproto.server.createInviteCode', { useCount: 1, forAccount: alice.did })
  await bob.agent.com.atproto.server.reserveSigningKey({})
  await carol.agent.com.atproto.server.deactivateAccount({})
  await reference.admin('com.atproto.admin.updateSubjectStatus', {
    subject: { $type: 'com.atproto.admin.defs#repoRef', did: dave.did },
    takedown: { applied: true, ref: 'spam' },
  })
  // The last writes: what a relay must not miss.
  await alice.agent.post({ text: 'the last words in the old house' })
  await bob.agent.post({ text: 'me too' })
  return agents
}

/** What everybody can see. */
async function observe({ alice, bob }) {
  const list = await get(`com.atproto.repo.listRecords?repo=${alice.did}&collection=app.bsky.feed.post&limit=100`)
  const { cids } = await get(`com.atproto.sync.listBlobs?did=${alice.did}`)
  const blobs = {}
  for (const cid of cids) {
    const answer = await fetch(`${reference.url}/xrpc/com.atproto.sync.getBlob?did=${alice.did}&cid=${cid}`)
    const [type] = answer.headers.get('content-type').split(';')
    blobs[cid] = [type, Buffer.from(await answer.arrayBuffer()).toString('base64')]
  }
  const { rev } = await get(`com.atproto.sync.getLatestCommit?did=${alice.did}`)
  const repos = { alice: await repository(alice.did), bob: await repository(bob.did) }
  return { posts: list.records, blobs, rev, repos, seq: await latestSeq() }
}

/** Alice with her own password. */
async function owner() {
  const agent = new AtpAgent({ service: reference.url })
  await agent.login({ identifier: 'alice.test', password: PASSWORD })
  return agent
}

/** How many records a repository has, and their bytes. */
async function usage(did) {
  const answer = await fetch(`${reference.url}/xrpc/com.atproto.sync.getRepo?did=${did}`)
  const repo = await verifyRepoCar(new Uint8Array(await answer.arrayBuffer()), did)
  const { blocks } = await readCarWithRoot(new Uint8Array(await (await fetch(answer.url)).arrayBuffer()))
  const cids = repo.creates.map(({ cid }) => cid)
  return { records: cids.length, bytes: cids.reduce((all, cid) => all + blocks.get(cid).length, 0) }
}

/** Root and blocks of a repository. */
async function repository(did) {
  const answer = await fetch(`${reference.url}/xrpc/com.atproto.sync.getRepo?did=${did}`)
  const { root, blocks } = await readCarWithRoot(new Uint8Array(await answer.arrayBuffer()))
  return { root: root.toString(), blocks: blocks.cids().map(String).sort() }
}

/** The number of the last event. */
async function latestSeq() {
  const frames = subscribe(0)
  let last = 0
  for (;;) {
    const frame = await Promise.race([frames.next(), new Promise((resolve) => setTimeout(resolve, 500))])
    if (!frame) break
    last = frame[1].seq
  }
  frames.close()
  return last
}

/** The event stream from a cursor. */
function subscribe(cursor) {
  const socket = new WebSocket(`${reference.url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos?cursor=${cursor}`)
  const frames = []
  let wake = () => {}
  socket.on('message', (data) => {
    frames.push(decodeMultiple(data))
    wake()
  })
  return {
    next: async () => {
      while (frames.length === 0) await new Promise((resolve) => (wake = resolve))
      return frames.shift()
    },
    close: () => socket.terminate(),
  }
}

async function get(target) {
  const answer = await fetch(`${reference.url}/xrpc/${target}`)
  assert.equal(answer.status, 200, target)
  return answer.json()
}

/** Every file below a directory with the hash of its content. */
async function fingerprint(directory) {
  const files = new Map()
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(relative(directory, path), createHash('sha256').update(await readFile(path)).digest('hex'))
  }
  return files
}

async function adopt(directory, ...flags) {
  try {
    return { code: 0, ...(await promisify(execFile)(BINARY, ['adopt', directory, '--to', join(root, 'house'), ...flags])) }
  } catch (failure) {
    return failure
  }
}

/** `housekey serve` with a configuration, on loopback only. */
async function serve(config) {
  const child = spawn(BINARY, ['serve', '--json', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOUSEKEY_SERVER_LISTEN: `127.0.0.1:${new URL(reference.url).port}`, HOUSEKEY_LOG_LEVEL: 'error' },
  })
  const ended = once(child, 'exit')
  const line = once(createInterface({ input: child.stdout }), 'line')
  const failed = ended.then(([code]) => Promise.reject(new Error(`housekey ended with ${code} before it was ready`)))
  const [ready] = await Promise.race([line, failed])
  return {
    ...JSON.parse(ready),
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
