// Implementations that are not ours check every byte: exported repositories, proofs, and the event stream.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { fromUint8Array } from '@atcute/repo'
import { cborToLexRecord, MST, MemoryBlockstore, readCarWithRoot, verifyProofs, verifyRepoCar } from '@atproto/repo'
import { Firehose } from '@atproto/sync'
import { IdResolver } from '@atproto/identity'
import { signingKey, startHousekey } from './housekey.mjs'

const POST = 'app.bsky.feed.post'

let server, agent, did, key
before(async () => {
  server = await startHousekey('--accounts', 'alice,bob')
  agent = new AtpAgent({ service: server.pds })
  const [alice] = server.accounts
  await agent.login({ identifier: alice.handle, password: alice.password })
  did = alice.did
  key = await signingKey(server.plc, did)
})
after(() => server.stop())

const write = (text) =>
  agent.com.atproto.repo.createRecord({
    repo: did,
    collection: POST,
    record: { $type: POST, text, createdAt: new Date().toISOString() },
  })

test('@atproto/repo and @atcute/repo read the same exported repository', async () => {
  const written = new Map()
  for (let n = 0; n < 60; n++) {
    const { data } = await write(`post ${n}`)
    written.set(data.uri.split('/').pop(), data.cid)
  }
  const { data: car } = await agent.com.atproto.sync.getRepo({ did })
  const repo = await verifyRepoCar(car, did, key)
  assert.equal(repo.creates.length, written.size)
  for (const { rkey, cid } of repo.creates) assert.equal(cid.toString(), written.get(rkey))

  const entries = [...fromUint8Array(car)]
  assert.deepEqual(new Map(entries.map((entry) => [entry.rkey, entry.cid.$link])), written)
})

test('a proof shows that a record is there, and another that it is not', async () => {
  const { data } = await write('prove me')
  const rkey = data.uri.split('/').pop()
  const proof = async (rkey) => (await agent.com.atproto.sync.getRecord({ did, collection: POST, rkey })).data
  const { CID } = await import('multiformats/cid')
  const there = await verifyProofs(await proof(rkey), [{ collection: POST, rkey, cid: CID.parse(data.cid) }], did, key)
  assert.equal(there.verified.length, 1)
  const absent = '3jzfcijpj2z2a'
  const missing = await verifyProofs(await proof(absent), [{ collection: POST, rkey: absent, cid: null }], did, key)
  assert.equal(missing.verified.length, 1)
})

test('every commit of the stream inverts to the tree before it while writes go on', async () => {
  const seen = []
  const frames = subscribe((event) => seen.push(event))
  await frames.opened
  const uris = await Promise.all(Array.from({ length: 40 }, async (_, n) => (await write(`busy ${n}`)).data.uri))
  for (const uri of uris.slice(0, 20)) {
    await agent.com.atproto.repo.deleteRecord({ repo: did, collection: POST, rkey: uri.split('/').pop() })
  }
  await frames.until(() => seen.length >= 60)
  frames.close()

  let root = seen[0].prevData.toString()
  for (const event of seen) {
    const { blocks, root: head } = await readCarWithRoot(event.blocks)
    const commit = cborToLexRecord(blocks.get(head))
    assert.equal(event.prevData.toString(), root, 'each commit builds on the one before')
    let tree = MST.load(new MemoryBlockstore(blocks), commit.data)
    for (const op of [...event.ops].reverse()) {
      if (op.action === 'create') tree = await tree.delete(op.path)
      if (op.action === 'update') tree = await tree.update(op.path, op.prev)
      if (op.action === 'delete') tree = await tree.add(op.path, op.prev)
    }
    assert.equal((await tree.getPointer()).toString(), root)
    root = commit.data.toString()
  }
})

test('@atproto/sync accepts every event of the stream with signatures checked', async () => {
  const events = []
  const errors = []
  const firehose = new Firehose({
    service: server.pds.replace('http', 'ws'),
    // The resolver refuses plain http unless it is handed a fetch of its own.
    idResolver: new IdResolver({ plcUrl: server.plc, fetch }),
    getCursor: () => 0,
    unauthenticatedHandles: true,
    handleEvent: (event) => void events.push(event),
    onError: (error) => errors.push(error),
  })
  firehose.start()
  try {
    const { data } = await write('the last one')
    await until(() => events.some((event) => event.event === 'create' && event.cid.toString() === data.cid))
  } finally {
    await firehose.destroy()
  }
  assert.deepEqual(errors, [])
  assert.deepEqual(events.slice(0, 2).map((event) => event.event), ['identity', 'account'])
})

test('a cursor of the future is refused with its name', async () => {
  const { default: WebSocket } = await import('ws')
  const { decodeMultiple } = await import('./frames.mjs')
  const socket = new WebSocket(`${server.pds.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos?cursor=99999999`)
  const frame = await new Promise((resolve) => socket.once('message', resolve))
  const [header, body] = decodeMultiple(frame)
  assert.deepEqual(header, { op: -1 })
  assert.equal(body.error, 'FutureCursor')
  await new Promise((resolve) => socket.once('close', resolve))
})

/** Raw `#commit` payloads of the live stream. */
function subscribe(onCommit) {
  let socket
  const opened = (async () => {
    const { default: WebSocket } = await import('ws')
    const { decodeMultiple } = await import('./frames.mjs')
    socket = new WebSocket(`${server.pds.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos`)
    socket.on('message', (data) => {
      const [header, body] = decodeMultiple(data)
      if (header.t === '#commit' && body.repo === did) onCommit(body)
    })
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  })()
  return { opened, until, close: () => socket.close() }
}

/** Resolves when `condition` holds; fails after ten seconds. */
async function until(condition) {
  const end = Date.now() + 10_000
  while (!condition()) {
    assert.ok(Date.now() < end, 'it did not happen within ten seconds')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
