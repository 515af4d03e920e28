// @atproto/api against a server that counts: refusals, headers, and what many calls at once come to.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtpAgent, XRPCError } from '@atproto/api'
import { startHousekey } from './housekey.mjs'

let server, free
before(async () => {
  server = await startHousekey('--accounts', 'alice,bob', '--limits')
  free = await startHousekey('--accounts', 'alice')
})
after(async () => {
  await server?.stop()
  await free?.stop()
})

const account = (name) => server.accounts.find(({ handle }) => handle.startsWith(`${name}.`))

const refusal = async (promise) => {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof XRPCError)
    return error
  }
  throw new Error('the request was expected to fail')
}

test('every answer says what is left, for scripts of any origin', async () => {
  const agent = new AtpAgent({ service: server.pds })
  const first = await agent.com.atproto.server.describeServer()
  const second = await agent.com.atproto.server.describeServer()
  assert.equal(first.headers['ratelimit-policy'], '3000;w=300')
  assert.equal(Number(first.headers['ratelimit-remaining']) - Number(second.headers['ratelimit-remaining']), 1)
  const wait = Number(second.headers['ratelimit-reset']) - Date.now() / 1000
  assert.ok(wait > 0 && wait <= 301, `${wait}`)
  const exposed = second.headers['access-control-expose-headers'].toLowerCase()
  for (const name of ['limit', 'remaining', 'reset', 'policy']) assert.ok(exposed.includes(`ratelimit-${name}`))
  assert.ok(exposed.includes('retry-after'))
})

test('sign-ins all at once are counted exactly, and one too many is RateLimitExceeded', async () => {
  const { handle, password } = account('alice')
  const tries = Array.from({ length: 45 }, () => {
    const agent = new AtpAgent({ service: server.pds })
    return agent.com.atproto.server.createSession({ identifier: handle, password }).then(
      () => 200,
      (error) => error.status,
    )
  })
  const statuses = await Promise.all(tries)
  assert.equal(statuses.filter((status) => status === 200).length, 30)
  assert.equal(statuses.filter((status) => status === 429).length, 15)
  const agent = new AtpAgent({ service: server.pds })
  const error = await refusal(agent.login({ identifier: handle, password }))
  assert.equal(error.status, 429)
  assert.equal(error.error, 'RateLimitExceeded')
  assert.equal(error.headers['ratelimit-limit'], '30')
  assert.equal(error.headers['ratelimit-remaining'], '0')
  const wait = Number(error.headers['retry-after'])
  assert.ok(wait >= 1 && wait <= 301, `${wait}`)
})

test('a spoofed X-Forwarded-For does not help who is no trusted proxy, and is believed of one that is', async () => {
  // The test is on the loopback interface, which is trusted: the last address that is not counts.
  const left = async (forwarded) => {
    const answer = await fetch(`${server.pds}/xrpc/com.atproto.server.describeServer`, {
      headers: { 'x-forwarded-for': forwarded },
    })
    return Number(answer.headers.get('ratelimit-remaining'))
  }
  assert.equal(await left('203.0.113.9'), 2999)
  assert.equal(await left('1.2.3.4, 203.0.113.9'), 2998)
  assert.equal(await left('5.6.7.8, 203.0.113.9, 127.0.0.1'), 2997)
  assert.equal(await left('203.0.113.10'), 2999)
  assert.equal(await left('2001:db8:1:2:3::4'), 2999)
  assert.equal(await left('2001:db8:1:2:5::6'), 2998)
})

test('writes are paid for by the account', async () => {
  const { handle, password, did } = account('bob')
  const agent = new AtpAgent({ service: server.pds })
  await agent.login({ identifier: handle, password })
  const writes = Array.from({ length: 200 }, () => ({
    $type: 'com.atproto.repo.applyWrites#create',
    collection: 'com.example.note',
    value: { $type: 'com.example.note' },
  }))
  let answer
  for (let n = 0; n < 8; n++) answer = await agent.com.atproto.repo.applyWrites({ repo: did, writes, validate: false })
  assert.equal(answer.headers['ratelimit-policy'], '5000;w=3600')
  assert.equal(answer.headers['ratelimit-remaining'], '200')
  const error = await refusal(agent.com.atproto.repo.applyWrites({ repo: did, writes, validate: false }))
  assert.equal(error.error, 'RateLimitExceeded')
  assert.equal(error.headers['ratelimit-remaining'], '200')
})

test('the owner reads who signed in', async () => {
  const { handle, password } = account('bob')
  const agent = new AtpAgent({ service: server.pds })
  await agent.login({ identifier: handle, password })
  await refusal(new AtpAgent({ service: server.pds }).login({ identifier: handle, password: 'wrong' }))
  const answer = await fetch(`${server.pds}/xrpc/dev.housekey.account.listSecurityEvents?limit=2`, {
    headers: { authorization: `Bearer ${agent.session.accessJwt}` },
  })
  const { events } = await answer.json()
  assert.deepEqual(events.map(({ kind, address }) => [kind, address]), [
    ['signInFailed', '127.0.0.1'],
    ['signedIn', '127.0.0.1'],
  ])
})

test('a development server limits nothing, and says so in the same headers', async () => {
  for (let n = 0; n < 3; n++) {
    const { headers } = await new AtpAgent({ service: free.pds }).com.atproto.server.describeServer()
    assert.equal(headers['ratelimit-remaining'], '3000')
  }
})
