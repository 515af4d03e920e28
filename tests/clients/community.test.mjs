// @atproto/api against the real binary: accounts go, come back, are taken down and deleted; invites; the administrator.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { AtpAgent } from '@atproto/api'
import { BINARY, PNG, startHousekey } from './housekey.mjs'

let server
before(async () => {
  server = await startHousekey('--accounts', 'alice,bob,carol,dave')
})
after(() => server.stop())

const run = promisify(execFile)
const authorization = () => `Basic ${btoa(`admin:${server.admin_password}`)}`

const account = (name) => server.accounts.find((account) => account.handle.startsWith(`${name}.`))

const agentOf = async (name) => {
  const agent = new AtpAgent({ service: server.pds })
  await agent.login({ identifier: account(name).handle, password: account(name).password })
  return agent
}

/** The administrator's agent. */
const admin = () => {
  const agent = new AtpAgent({ service: server.pds })
  agent.setHeader('authorization', authorization())
  return agent.com.atproto
}

/** The command line, as the administrator of this server. */
const housekey = async (...args) => {
  const env = { ...process.env, HOUSEKEY_ADMIN_PASSWORD: server.admin_password }
  const { stdout } = await run(BINARY, [...args, '--server', server.pds, '--json'], { env })
  return JSON.parse(stdout)
}

const refusal = async (promise) => {
  try {
    await promise
  } catch (error) {
    return error.error
  }
  throw new Error('the request was expected to fail')
}

const repoRef = (did) => ({ $type: 'com.atproto.admin.defs#repoRef', did })

test('an account is deactivated, hidden, and comes back', async () => {
  const agent = await agentOf('alice')
  const did = agent.assertDid
  const { uri } = await agent.post({ text: 'I will be back' })
  await agent.com.atproto.server.deactivateAccount({})
  const stranger = new AtpAgent({ service: server.pds })
  assert.equal(await refusal(stranger.com.atproto.sync.getRepo({ did })), 'RepoDeactivated')
  const { data: status } = await stranger.com.atproto.sync.getRepoStatus({ did })
  assert.deepEqual([status.active, status.status], [false, 'deactivated'])
  assert.equal(await refusal(agent.post({ text: 'not now' })), 'AccountDeactivated')
  const again = await agentOf('alice')
  assert.equal(again.session.active, false)
  await again.com.atproto.server.activateAccount()
  const rkey = uri.split('/').pop()
  const found = await stranger.com.atproto.repo.getRecord({ repo: did, collection: 'app.bsky.feed.post', rkey })
  assert.equal(found.data.value.text, 'I will be back')
  assert.equal((await again.com.atproto.server.checkAccountStatus()).data.activated, true)
})

test('an account is taken down and restored, by method and by command', async () => {
  const agent = await agentOf('bob')
  const did = agent.assertDid
  const takedown = { applied: true, ref: '17' }
  await admin().admin.updateSubjectStatus({ subject: repoRef(did), takedown })
  assert.equal(await refusal(agent.com.atproto.server.getSession()), 'AccountTakedown')
  const login = { identifier: account('bob').handle, password: account('bob').password }
  assert.equal(await refusal(new AtpAgent({ service: server.pds }).login(login)), 'AccountTakedown')
  const stranger = new AtpAgent({ service: server.pds })
  assert.equal(await refusal(stranger.com.atproto.sync.getRepo({ did })), 'RepoTakendown')
  const narrow = new AtpAgent({ service: server.pds })
  await narrow.com.atproto.server.createSession({ ...login, allowTakendown: true })
  const { data } = await admin().admin.getSubjectStatus({ did })
  assert.deepEqual(data.takedown, takedown)
  const shown = await housekey('account', 'info', account('bob').handle)
  assert.deepEqual([shown.status, shown.takedownRef], ['takendown', '17'])
  await housekey('account', 'restore', account('bob').handle)
  await agentOf('bob')
  await housekey('account', 'suspend', did)
  assert.equal(await refusal(stranger.com.atproto.sync.getRepo({ did })), 'RepoSuspended')
  await housekey('account', 'restore', did)
  await agentOf('bob')
})

test('a record and a blob are taken down and restored', async () => {
  const agent = await agentOf('bob')
  const did = agent.assertDid
  const { data: blob } = await agent.uploadBlob(PNG, { encoding: 'image/png' })
  const images = [{ image: blob.blob, alt: 'a dot' }]
  const post = await agent.post({ text: 'look', embed: { $type: 'app.bsky.embed.images', images } })
  const rkey = post.uri.split('/').pop()
  const stranger = new AtpAgent({ service: server.pds })
  const read = () => stranger.com.atproto.repo.getRecord({ repo: did, collection: 'app.bsky.feed.post', rkey })
  const cid = blob.blob.ref.toString()
  const fetchBlob = () => stranger.com.atproto.sync.getBlob({ did, cid })
  await housekey('account', 'takedown', post.uri)
  await housekey('account', 'takedown', did, '--blob', cid)
  assert.equal(await refusal(read()), 'RecordNotFound')
  assert.equal(await refusal(fetchBlob()), 'BlobNotFound')
  assert.ok(await refusal(agent.uploadBlob(PNG, { encoding: 'image/png' })))
  await housekey('account', 'restore', post.uri)
  await housekey('account', 'restore', did, '--blob', cid)
  assert.equal((await read()).data.value.text, 'look')
  assert.equal((await fetchBlob()).data.length, PNG.length)
})

test('invites are made, used once, listed and disabled', async () => {
  const { codes } = await housekey('invite', 'create', '--count', '2', '--uses', '1')
  assert.equal(codes.length, 2)
  const join = (handle, inviteCode) =>
    new AtpAgent({ service: server.pds }).createAccount({
      handle,
      email: `${handle.split('.')[0]}@example.com`,
      password: 'correct horse battery staple',
      inviteCode,
    })
  const both = await Promise.allSettled([join('grace.test', codes[0]), join('heidi.test', codes[0])])
  assert.deepEqual(both.map((one) => one.status).sort(), ['fulfilled', 'rejected'])
  assert.equal(both.find((one) => one.status === 'rejected').reason.error, 'InvalidInviteCode')
  await housekey('invite', 'disable', codes[1])
  assert.equal(await refusal(join('ivan.test', codes[1])), 'InvalidInviteCode')
  const { data } = await admin().admin.getInviteCodes({ sort: 'usage' })
  const listed = Object.fromEntries(data.codes.map((code) => [code.code, code]))
  assert.equal(listed[codes[0]].uses.length, 1)
  assert.equal(listed[codes[1]].disabled, true)
  const agent = await agentOf('alice')
  const own = await agent.com.atproto.server.getAccountInviteCodes()
  assert.deepEqual(own.data.codes, [])
})

test('the administrator gives reserved handles and makes accounts with them', async () => {
  const agent = await agentOf('carol')
  const did = agent.assertDid
  assert.equal(await refusal(agent.updateHandle({ handle: 'support.test' })), 'HandleNotAvailable')
  await housekey('account', 'handle', did, 'support.test')
  const { data } = await agent.resolveHandle({ handle: 'support.test' })
  assert.equal(data.did, did)
  const made = ['account', 'create', 'postmaster.test', '--email', 'postmaster@example.com']
  await assert.rejects(housekey(...made), /Reserved handle/)
  const account = await housekey(...made, '--allow-reserved')
  const info = await admin().admin.getAccountInfo({ did: account.did })
  assert.equal(info.data.handle, 'postmaster.test')
  const { data: found } = await admin().admin.searchAccounts({ email: 'POSTMASTER@' })
  assert.deepEqual(found.accounts.map((account) => account.handle), ['postmaster.test'])
})

test('a signing key is rotated, and what is exported verifies with the new one', async () => {
  const { signingKey } = await import('./housekey.mjs')
  const { verifyRepoCar } = await import('@atproto/repo')
  const agent = await agentOf('dave')
  const did = agent.assertDid
  await agent.post({ text: 'under the old key' })
  const before = await signingKey(server.plc, did)
  const said = await housekey('account', 'rotate-key', did)
  const key = await signingKey(server.plc, did)
  assert.notEqual(key, before)
  assert.equal(said.signingKey, key)
  const { data: car } = await agent.com.atproto.sync.getRepo({ did })
  const repo = await verifyRepoCar(car, did, key)
  assert.equal(repo.creates.length, 1)
  await assert.rejects(verifyRepoCar(car, did, before))
  await agent.post({ text: 'under the new key' })
})

test('an account is deleted for good, and its names are free', async () => {
  const agent = await agentOf('dave')
  const did = agent.assertDid
  const wrong = { did, password: 'wrong', token: 'AAAAA-BBBBB' }
  assert.equal(await refusal(agent.com.atproto.server.deleteAccount(wrong)), 'AuthenticationRequired')
  const right = { ...wrong, password: account('dave').password }
  assert.equal(await refusal(agent.com.atproto.server.deleteAccount(right)), 'InvalidToken')
  await housekey('account', 'delete', did, '--yes')
  assert.equal(await refusal(agent.com.atproto.server.getSession()), 'AccountNotFound')
  const stranger = new AtpAgent({ service: server.pds })
  assert.equal(await refusal(stranger.com.atproto.sync.getRepo({ did })), 'RepoNotFound')
  assert.equal(await refusal(admin().admin.getAccountInfo({ did })), 'NotFound')
  const again = await housekey('account', 'create', account('dave').handle, '--email', 'dave2@example.com')
  assert.notEqual(again.did, did)
})
