// @atproto/api against the real binary: sign up, log in, post with an image, list, edit, delete, export.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { PNG, startHousekey } from './housekey.mjs'

let server
before(async () => {
  server = await startHousekey('--accounts', 'alice,bob')
})
after(() => server.stop())

const agentOf = async (name) => {
  const account = server.accounts.find((account) => account.handle.startsWith(`${name}.`))
  const agent = new AtpAgent({ service: server.pds })
  await agent.login({ identifier: account.handle, password: account.password })
  return agent
}

const refusal = async (promise) => {
  try {
    await promise
  } catch (error) {
    return { status: error.status, error: error.error }
  }
  throw new Error('the request was expected to fail')
}

test('a server describes itself', async () => {
  const { data } = await new AtpAgent({ service: server.pds }).com.atproto.server.describeServer()
  assert.equal(data.did, 'did:web:localhost')
  assert.ok(data.availableUserDomains.length > 0)
  assert.equal(data.inviteCodeRequired, false)
})

test('somebody signs up, logs in again and sees the same account', async () => {
  const agent = new AtpAgent({ service: server.pds })
  const { data: made } = await agent.createAccount({
    handle: 'carol.test',
    email: 'carol@example.com',
    password: 'correct horse',
  })
  assert.match(made.did, /^did:plc:[a-z2-7]{24}$/)
  const again = new AtpAgent({ service: server.pds })
  const { data: session } = await again.login({ identifier: 'carol@example.com', password: 'correct horse' })
  assert.equal(session.did, made.did)
  assert.equal(session.active, true)
  assert.equal(session.didDoc.id, made.did)
  const { data: seen } = await again.com.atproto.server.getSession()
  assert.equal(seen.handle, 'carol.test')
  assert.equal(seen.email, 'carol@example.com')
})

test('a session is refreshed, and what is over stays over', async () => {
  const agent = await agentOf('bob')
  const before = agent.session.refreshJwt
  const refresh = (token) =>
    agent.com.atproto.server.refreshSession(undefined, { headers: { authorization: `Bearer ${token}` } })
  const { data: first } = await refresh(before)
  const { data: second } = await refresh(before)
  const jti = (token) => JSON.parse(atob(token.split('.')[1])).jti
  assert.equal(jti(first.refreshJwt), jti(second.refreshJwt), 'within the grace period the next token is the same')
  await agent.com.atproto.server.deleteSession(undefined, {
    headers: { authorization: `Bearer ${second.refreshJwt}` },
  })
  assert.deepEqual(await refusal(refresh(second.refreshJwt)), { status: 400, error: 'ExpiredToken' })
})

test('a post with an image is written, listed, edited and deleted', async () => {
  const agent = await agentOf('alice')
  const { data: upload } = await agent.uploadBlob(PNG, { encoding: 'image/png' })
  assert.equal(upload.blob.mimeType, 'image/png')
  const post = await agent.post({
    text: 'a picture',
    embed: { $type: 'app.bsky.embed.images', images: [{ alt: 'one pixel', image: upload.blob }] },
    createdAt: new Date().toISOString(),
  })
  const [, , repo, collection, rkey] = post.uri.split('/')
  const { data: read } = await agent.com.atproto.repo.getRecord({ repo, collection, rkey })
  assert.equal(read.cid, post.cid)
  assert.equal(read.value.embed.images[0].image.ref.toString(), upload.blob.ref.toString())

  const { data: blob } = await agent.com.atproto.sync.getBlob({ did: repo, cid: upload.blob.ref.toString() })
  assert.deepEqual(new Uint8Array(blob), PNG)
  const { data: blobs } = await agent.com.atproto.sync.listBlobs({ did: repo })
  assert.deepEqual(blobs.cids, [upload.blob.ref.toString()])

  const { data: listed } = await agent.com.atproto.repo.listRecords({ repo, collection })
  assert.deepEqual(listed.records.map((record) => record.uri), [post.uri])

  const { data: edited } = await agent.com.atproto.repo.putRecord({
    repo,
    collection,
    rkey,
    record: { $type: collection, text: 'edited', createdAt: new Date().toISOString() },
    swapRecord: post.cid,
  })
  assert.notEqual(edited.cid, post.cid)
  assert.deepEqual(
    await refusal(agent.com.atproto.repo.deleteRecord({ repo, collection, rkey, swapRecord: post.cid })),
    { status: 400, error: 'InvalidSwap' },
  )
  await agent.deletePost(post.uri)
  assert.deepEqual(await refusal(agent.com.atproto.repo.getRecord({ repo, collection, rkey })), {
    status: 400,
    error: 'RecordNotFound',
  })
})

test('likes and follows go through, and a second like replaces the first', async () => {
  const alice = await agentOf('alice')
  const bob = await agentOf('bob')
  const post = await alice.post({ text: 'like me', createdAt: new Date().toISOString() })
  await bob.like(post.uri, post.cid)
  const again = await bob.like(post.uri, post.cid)
  const { data: likes } = await bob.com.atproto.repo.listRecords({
    repo: bob.session.did,
    collection: 'app.bsky.feed.like',
  })
  assert.deepEqual(likes.records.map((record) => record.uri), [again.uri])
  const follow = await bob.follow(alice.session.did)
  await bob.deleteFollow(follow.uri)
})

test('a profile is upserted', async () => {
  const agent = await agentOf('bob')
  await agent.upsertProfile((old) => ({ ...old, displayName: 'Bob' }))
  await agent.upsertProfile((old) => ({ ...old, description: `was ${old.displayName}` }))
  const { data } = await agent.com.atproto.repo.getRecord({
    repo: agent.session.did,
    collection: 'app.bsky.actor.profile',
    rkey: 'self',
  })
  assert.equal(data.value.description, 'was Bob')
})

test('many writes in one commit are all or nothing', async () => {
  const agent = await agentOf('alice')
  const repo = agent.session.did
  const collection = 'app.bsky.feed.post'
  const create = (text) => ({
    $type: 'com.atproto.repo.applyWrites#create',
    collection,
    value: { $type: collection, text, createdAt: new Date().toISOString() },
  })
  const { data } = await agent.com.atproto.repo.applyWrites({ repo, writes: [create('one'), create('two')] })
  assert.equal(data.results.length, 2)
  assert.ok(data.commit.rev)
  const missing = { $type: 'com.atproto.repo.applyWrites#delete', collection, rkey: '3jzfcijpj2z2a' }
  const before = await agent.com.atproto.sync.getLatestCommit({ did: repo })
  const refused = await refusal(agent.com.atproto.repo.applyWrites({ repo, writes: [create('three'), missing] }))
  assert.equal(refused.status, 400)
  const after = await agent.com.atproto.sync.getLatestCommit({ did: repo })
  assert.deepEqual(after.data, before.data)
})

test('a handle moves within the service domain and the directory follows', async () => {
  const agent = new AtpAgent({ service: server.pds })
  await agent.createAccount({ handle: 'dave.test', email: 'dave@example.com', password: 'correct horse' })
  const did = agent.session.did
  await agent.com.atproto.identity.updateHandle({ handle: 'david.test' })
  const { data } = await agent.com.atproto.identity.resolveHandle({ handle: 'david.test' })
  assert.equal(data.did, did)
  const document = await (await fetch(`${server.plc}/${did}`)).json()
  assert.deepEqual(document.alsoKnownAs, ['at://david.test'])
  assert.equal((await refusal(agent.com.atproto.identity.resolveHandle({ handle: 'dave.test' }))).status, 400)
})

test('refusals carry the names that clients know', async () => {
  const anyone = new AtpAgent({ service: server.pds })
  const wrong = { identifier: 'alice.test', password: 'wrong' }
  const unknown = { identifier: 'nobody.test', password: 'wrong' }
  assert.deepEqual(await refusal(anyone.login(wrong)), { status: 401, error: 'AuthenticationRequired' })
  assert.deepEqual(await refusal(anyone.login(unknown)), { status: 401, error: 'AuthenticationRequired' })
  const taken = { handle: 'alice.test', email: 'other@example.com', password: 'correct horse' }
  assert.deepEqual(await refusal(anyone.createAccount(taken)), { status: 400, error: 'HandleNotAvailable' })
  assert.deepEqual(await refusal(anyone.app.bsky.feed.getTimeline()), { status: 401, error: 'AuthMissing' })
  assert.equal((await refusal(anyone.com.atproto.server.getSession())).error, 'AuthMissing')
})

test('service auth is signed with the account key', async () => {
  const agent = await agentOf('alice')
  const { data } = await agent.com.atproto.server.getServiceAuth({
    aud: 'did:web:video.example.com',
    lxm: 'com.atproto.repo.uploadBlob',
  })
  const { verifySignature } = await import('@atproto/crypto')
  const { signingKey } = await import('./housekey.mjs')
  const [header, payload, signature] = data.token.split('.')
  const key = await signingKey(server.plc, agent.session.did)
  const signed = new TextEncoder().encode(`${header}.${payload}`)
  assert.equal(await verifySignature(key, signed, Buffer.from(signature, 'base64url')), true)
  assert.equal(JSON.parse(atob(payload)).iss, agent.session.did)
})
