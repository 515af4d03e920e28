// @atproto/api through the real binary to an AppView of the test's own, which verifies every token with the stock package.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { AtpAgent } from '@atproto/api'
import { verifyJwt } from '@atproto/xrpc-server'
import { signingKey, startHousekey } from './housekey.mjs'

let appview
let server
let agent
before(async () => {
  appview = await startAppview()
  server = await startHousekey('--accounts', 'alice', '--appview-url', appview.url, '--appview-did', appview.did)
  const [alice] = server.accounts
  agent = new AtpAgent({ service: server.pds })
  await agent.login({ identifier: alice.handle, password: alice.password })
})
after(async () => {
  await server.stop()
  await appview.stop()
})

/** A service with a DID document, whose methods a test sets; it refuses what has no good token for it. */
async function startAppview() {
  const calls = []
  const methods = {}
  const listener = createServer(async (request, response) => {
    const send = (status, body, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(JSON.stringify(body))
    }
    const url = new URL(request.url, 'http://localhost')
    if (url.pathname === '/.well-known/did.json') {
      const service = (id, type) => ({ id: `#${id}`, type, serviceEndpoint: self.url })
      return send(200, {
        id: self.did,
        service: [service('bsky_chat', 'BskyChatService'), service('atproto_labeler', 'AtprotoLabeler')],
      })
    }
    const nsid = url.pathname.slice('/xrpc/'.length)
    const pieces = []
    for await (const piece of request) pieces.push(piece)
    const raw = Buffer.concat(pieces)
    const body = raw.toString()
    try {
      const token = request.headers.authorization.split(' ')[1]
      const { iss } = await verifyJwt(token, self.did, nsid, (did) => signingKey(server.plc, did))
      calls.push({ nsid, iss, query: url.searchParams, headers: request.headers, body, raw })
    } catch (error) {
      return send(401, { error: error.customErrorName ?? 'BadJwt', message: error.message })
    }
    const method = methods[nsid]
    return method ? method(send, { url, body }) : send(501, { error: 'MethodNotImplemented', message: 'Method Not Implemented' })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address()
  const self = {
    url: `http://localhost:${port}`,
    did: `did:web:localhost%3A${port}`,
    calls,
    methods,
    stop: async () => {
      listener.closeAllConnections()
      listener.close()
      await once(listener, 'close')
    },
  }
  return self
}

const refusal = async (promise) => {
  try {
    await promise
  } catch (error) {
    return { status: error.status, error: error.error }
  }
  throw new Error('the request was expected to fail')
}

const latestRev = async () => {
  const { data } = await agent.com.atproto.sync.getLatestCommit({ did: agent.session.did })
  return data.rev
}

test('a timeline comes through, and the AppView knows for sure who asked', async () => {
  appview.methods['app.bsky.feed.getTimeline'] = (send) => send(200, { feed: [], cursor: 'next' })
  const { data } = await agent.getTimeline({ limit: 7 }, { headers: { 'accept-language': 'de' } })
  assert.deepEqual(data, { feed: [], cursor: 'next' })
  const call = appview.calls.at(-1)
  assert.equal(call.iss, agent.session.did)
  assert.equal(call.query.get('limit'), '7')
  assert.equal(call.headers['accept-language'], 'de')
})

test('a post and a new name are seen at once by whoever wrote them, and the lag is told', async () => {
  await agent.post({ text: 'known', createdAt: new Date().toISOString() })
  const rev = await latestRev()
  const { uri } = await agent.post({ text: 'not known yet', createdAt: new Date().toISOString() })
  await agent.upsertProfile(() => ({ displayName: 'Alice the Second' }))
  const headers = { 'atproto-repo-rev': rev }
  appview.methods['app.bsky.feed.getTimeline'] = (send) => send(200, { feed: [] }, headers)
  const timeline = await agent.getTimeline()
  assert.deepEqual(timeline.data.feed.map(({ post }) => post.uri), [uri])
  assert.equal(timeline.data.feed[0].post.author.displayName, 'Alice the Second')
  assert.ok(Number(timeline.headers['atproto-upstream-lag']) >= 0)

  const old = { did: agent.session.did, handle: agent.session.handle, displayName: 'Alice' }
  appview.methods['app.bsky.actor.getProfile'] = (send) => send(200, old, headers)
  const { data: profile } = await agent.getProfile({ actor: agent.session.did })
  assert.equal(profile.displayName, 'Alice the Second')
})

test('messages go to the service that the app names, by its DID document', async () => {
  appview.methods['chat.bsky.convo.listConvos'] = (send) => send(200, { convos: [] })
  const chat = agent.withProxy('bsky_chat', appview.did)
  const { data } = await chat.chat.bsky.convo.listConvos()
  assert.deepEqual(data.convos, [])
  assert.equal(appview.calls.at(-1).nsid, 'chat.bsky.convo.listConvos')
})

test('preferences are kept by the server itself', async () => {
  const before = appview.calls.length
  await agent.setAdultContentEnabled(true)
  await agent.setPersonalDetails({ birthDate: '1990-05-05T00:00:00.000Z' })
  await agent.addMutedWord({ value: 'spoiler', targets: ['content'] })
  const preferences = await agent.getPreferences()
  assert.equal(preferences.moderationPrefs.adultContentEnabled, true)
  assert.equal(preferences.birthDate.toISOString(), '1990-05-05T00:00:00.000Z')
  assert.equal(preferences.moderationPrefs.mutedWords[0].value, 'spoiler')
  assert.equal(appview.calls.length, before)
})

test('a report reaches the labeler that the app names', async () => {
  const report = { reasonType: 'com.atproto.moderation.defs#reasonSpam', subject: { $type: 'com.atproto.admin.defs#repoRef', did: agent.session.did } }
  appview.methods['com.atproto.moderation.createReport'] = (send, { body }) =>
    send(200, { ...JSON.parse(body), id: 1, reportedBy: agent.session.did, createdAt: new Date().toISOString() })
  const { data } = await agent.withProxy('atproto_labeler', appview.did).createModerationReport(report)
  assert.equal(data.id, 1)
  assert.equal(JSON.parse(appview.calls.at(-1).body).reasonType, report.reasonType)
})

test('refusals of the AppView are the answer, and its failures are named', async () => {
  appview.methods['app.bsky.feed.getPosts'] = (send) => send(400, { error: 'Strange', message: 'no' })
  const ask = () => agent.getPosts({ uris: ['at://did:plc:a/app.bsky.feed.post/a'] })
  assert.deepEqual(await refusal(ask()), { status: 400, error: 'Strange' })
  appview.methods['app.bsky.feed.getPosts'] = (send) => send(500, { error: 'InternalServerError', message: 'x' })
  assert.deepEqual(await refusal(ask()), { status: 502, error: 'UpstreamFailure' })
  assert.deepEqual(await refusal(agent.app.bsky.graph.getMutes()), { status: 501, error: 'MethodNotImplemented' })
  assert.deepEqual(await refusal(new AtpAgent({ service: server.pds }).getTimeline()), { status: 401, error: 'AuthMissing' })
})

test('a procedure that is not served here goes through as it is, packed or not', async () => {
  appview.methods['app.bsky.graph.muteActor'] = (send) => send(200, {})
  await agent.app.bsky.graph.muteActor({ actor: agent.session.did })
  assert.deepEqual(JSON.parse(appview.calls.at(-1).body), { actor: agent.session.did })
  const packed = gzipSync('{"actor":"did:plc:a"}')
  const response = await fetch(`${server.pds}/xrpc/app.bsky.graph.muteActor`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${agent.session.accessJwt}`,
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    },
    body: packed,
  })
  assert.equal(response.status, 200)
  const call = appview.calls.at(-1)
  assert.equal(call.headers['content-encoding'], 'gzip')
  assert.equal(gunzipSync(call.raw).toString(), '{"actor":"did:plc:a"}')
})
