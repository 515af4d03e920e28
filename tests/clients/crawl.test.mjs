// Relays: a relay of the test's own is told of the first write; `housekey crawl` says how it stands.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { AtpAgent } from '@atproto/api'
import { BINARY, serveHousekey, startHousekey } from './housekey.mjs'

const asked = []
let relay, plc, server, status
before(async () => {
  relay = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    asked.push({ url: request.url, body })
    response.statusCode = status?.error ? 400 : 200
    response.end(JSON.stringify(request.method === 'POST' ? {} : status))
    relay.emit('asked')
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  plc = await startHousekey()
  process.env.HOUSEKEY_SERVICES_CRAWLERS = `http://127.0.0.1:${relay.address().port}`
  server = await serveHousekey(plc.plc)
})
after(async () => {
  await server?.stop()
  await plc?.stop()
  relay.close()
  relay.closeAllConnections()
})

test('a relay is told of the first write, and by which name to come', async () => {
  const told = once(relay, 'asked')
  const agent = new AtpAgent({ service: server.pds })
  await agent.createAccount({ handle: 'alice.test', email: 'alice@example.com', password: 'correct horse' })
  await told
  assert.equal(asked[0].url, '/xrpc/com.atproto.sync.requestCrawl')
  assert.deepEqual(JSON.parse(asked[0].body), { hostname: new URL(server.pds).host })
})

test('crawl status compares what the relay has read, and finds the own stream open', async () => {
  status = { hostname: 'x', seq: 1, status: 'active' }
  const behind = await crawl('status')
  assert.equal(behind.code, 0, JSON.stringify(behind))
  assert.deepEqual(behind.report.address.reachable, true)
  assert.equal(behind.report.relays[0].standing, 'behind')
  status = { hostname: 'x', seq: 999, status: 'active' }
  const ahead = await crawl('status')
  assert.deepEqual([ahead.code, ahead.report.relays[0].standing], [1, 'ahead'])
  status = { error: 'HostNotFound', message: 'no such host' }
  const unknown = await crawl('status')
  assert.deepEqual([unknown.code, unknown.report.relays[0].standing], [1, 'unknownHost'])
})

test('crawl request asks at once', async () => {
  status = undefined
  const before = asked.length
  const { code, report } = await crawl('request')
  assert.deepEqual([code, report.relays[0].accepted, asked.length], [0, true, before + 1])
})

async function crawl(verb) {
  const options = { env: { ...process.env, HOUSEKEY_ADMIN_PASSWORD: 'admin password' } }
  try {
    const { stdout } = await promisify(execFile)(BINARY, ['crawl', verb, '--server', server.pds, '--json'], options)
    return { code: 0, report: JSON.parse(stdout) }
  } catch (failure) {
    return { code: failure.code, report: JSON.parse(failure.stdout || '{}'), stderr: failure.stderr }
  }
}
