// `housekey migrate`: between npm's @atproto/pds and Housekey, both ways, interrupted at every step, with everything that can
// go wrong half-way. What moved is looked at with the stock client.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { Secp256k1Keypair } from '@atproto/crypto'
import { createServiceJwt } from '@atproto/xrpc-server'
import Database from 'better-sqlite3'
import { BINARY, PNG, serveHousekey, startHousekey } from './housekey.mjs'
import { startReferencePds } from './reference_pds.mjs'

const POSTS = 'app.bsky.feed.post'
const STEPS = ['account', 'repository', 'blobs', 'preferences', 'check', 'identity', 'activate', 'deactivate', 'verify']
const [OLD_PASSWORD, NEW_PASSWORD] = ['the password at the old server', 'the password at the new server']
const ADMIN = { HOUSEKEY_ADMIN_PASSWORD: 'admin password' }
// The website of a did:web is on loopback too.
const LOCAL = { HOUSEKEY_OUTBOUND_ALLOW_PRIVATE_ADDRESSES: 'true' }

let directory, reference, server, work, files, npm, house
before(async () => {
  directory = await startHousekey('--accounts', '', '--no-plc-limits')
  // Preferences need a service to be named at npm's; nobody listens there.
  const env = { PDS_BSKY_APP_VIEW_URL: 'http://127.0.0.1:9', PDS_BSKY_APP_VIEW_DID: 'did:web:appview.example.com' }
  reference = await startReferencePds({ plc: directory.plc, env })
  server = await serveHousekey(directory.plc, { ...ADMIN, HOUSEKEY_LIMITS_ENABLED: 'false', ...LOCAL })
  npm = {
    url: reference.url,
    hide: (did, cid) => reference.admin('com.atproto.admin.updateSubjectStatus', takedown(did, cid)),
    // npm's PDS would have mailed it: it keeps codes as they are.
    code: (did) => {
      const database = new Database(join(reference.directory, 'account.sqlite'), { readonly: true })
      const row = database.prepare("select token from email_token where purpose = 'plc_operation' and did = ?").get(did)
      database.close()
      return row.token
    },
  }
  house = {
    url: server.pds,
    hide: (did, cid) => admin('com.atproto.admin.updateSubjectStatus', takedown(did, cid)),
    code: async (did) => (await admin('dev.housekey.admin.createCode', { did, purpose: 'plcOperation' })).code,
  }
  work = await mkdtemp(join(tmpdir(), 'migrate-'))
  files = { old: join(work, 'old'), new: join(work, 'new') }
  await writeFile(files.old, OLD_PASSWORD)
  await writeFile(files.new, NEW_PASSWORD)
})
after(async () => {
  await server?.stop()
  await reference?.remove()
  await directory?.stop()
  await rm(work, { recursive: true })
})

const takedown = (did, cid) => ({
  subject: { $type: 'com.atproto.admin.defs#repoBlobRef', did, cid },
  takedown: { applied: true, ref: 'gone' },
})

for (const verb of ['in', 'out']) {
  const [home, goal] = [() => (verb === 'in' ? npm : house), () => (verb === 'in' ? house : npm)]
  const name = (text) => `${text}-${verb}`

  test(`${verb}: a move tells what it would do, and goes step by step, each in a run of its own, with a mailed code`, async () => {
    const own = await ownKey(name('alice'))
    const alice = await signUp(name('alice'), home(), goal(), own.key)
    const before = await contents(alice.agent, alice.did)

    const plan = JSON.parse(await expect(0, alice.move('--dry-run')))
    assert.deepEqual(
      { did: plan.did, handle: plan.handle, records: plan.records, blobs: plan.blobs, identity: plan.identity },
      { did: alice.did, handle: alice.handle, records: 12, blobs: 2, identity: 'mailedCode' },
    )
    assert.deepEqual(plan.standing.new, { url: goal().url, account: 'absent' })
    await assert.rejects(stat(alice.note), 'a dry run notes nothing')

    for (const step of STEPS.slice(0, 5)) {
      const done = JSON.parse(await expect(0, alice.move('--until', step)))
      assert.equal(done.complete, false)
      assert.deepEqual(done.standing, {
        document: home().url,
        old: { url: home().url, account: 'active' },
        new: { url: goal().url, account: 'inactive' },
      })
    }
    const asked = await alice.move()
    assert.equal(asked.code, 3, asked.errors)
    assert.match(asked.errors, /run this again with --plc-code CODE\./)
    const wrong = await alice.move('--plc-code', 'AAAAA-BBBBB')
    assert.equal(wrong.code, 3, wrong.errors)
    assert.match(wrong.errors, /without --plc-code another code is mailed/)
    assert.equal(await pdsOf(alice.did), home().url)

    const code = await home().code(alice.did)
    await expect(0, alice.move('--plc-code', code, '--until', 'identity'))
    assert.equal(await pdsOf(alice.did), goal().url)
    for (const step of STEPS.slice(6)) await expect(0, alice.move('--until', step))

    const moved = await arrived(alice)
    assert.deepEqual(await contents(moved, alice.did), before)
    assert.equal((await documentData(alice.did)).rotationKeys[0], own.key, "the owner's own rotation key stays first")
    assert.equal((await documentData(alice.did)).rotationKeys.length, 2, "the old server's key is gone")
    for (const file of [alice.note, alice.note.replace(/json$/, 'car')]) {
      assert.equal((await stat(file)).mode & 0o777, 0o600)
    }
    const noted = await readFile(alice.note, 'utf8')
    assert.ok(!noted.includes('password'), 'no password is noted')

    // What was written at the new server since is not overwritten by another run.
    await moved.post({ text: 'at home', createdAt: new Date().toISOString() })
    const again = JSON.parse(await expect(0, alice.move()))
    assert.deepEqual([again.complete, again.missingBlobs], [true, []])
    assert.equal((await contents(moved, alice.did)).records.length, before.records.length + 1)
  })

  test(`${verb}: a move that is killed as each step begins ends whole`, async () => {
    const own = await ownKey(name('carol'))
    const carol = await signUp(name('carol'), home(), goal(), own.key)
    const before = await contents(carol.agent, carol.did)
    const seen = new Set()
    for (const step of STEPS) {
      const running = carol.start('--rotation-key', own.file)
      let told = ''
      running.child.stderr.on('data', (bytes) => {
        told += bytes
        if (told.includes(`/9 ${step}:`)) running.child.kill('SIGKILL')
      })
      const ended = await running.ended
      if (ended.errors.includes(`/9 ${step}:`)) seen.add(step)
      assert.equal(ended.code, null, `killed at ${step}: ${ended.errors}`)
    }
    assert.deepEqual([...seen], STEPS)
    assert.equal((await carol.start('--rotation-key', own.file).ended).code, 0)
    assert.deepEqual(await contents(await arrived(carol), carol.did), before)
  })

  test(`${verb}: a move that is killed at odd times ends whole`, async () => {
    const own = await ownKey(name('mallory'))
    const mallory = await signUp(name('mallory'), home(), goal(), own.key)
    const before = await contents(mallory.agent, mallory.did)
    for (let patience = 40; patience < 1_500; patience = Math.ceil(patience * 1.3)) {
      const running = mallory.start('--rotation-key', own.file)
      const timer = setTimeout(() => running.child.kill('SIGKILL'), patience)
      await running.ended
      clearTimeout(timer)
    }
    await expect(0, mallory.move('--rotation-key', own.file))
    assert.deepEqual(await contents(await arrived(mallory), mallory.did), before)
  })

  test(`${verb}: a blob that the old server has lost stops the move before anything is final, unless that is permitted`, async () => {
    const own = await ownKey(name('dave'))
    const dave = await signUp(name('dave'), home(), goal(), own.key)
    const [lost] = dave.blobs
    await home().hide(dave.did, lost)
    const stopped = await dave.move('--rotation-key', own.file)
    assert.equal(stopped.code, 1)
    assert.match(stopped.errors, new RegExp(`does not give the blob ${lost}`))
    const said = JSON.parse(stopped.output)
    assert.equal(said.step, 'check')
    assert.match(said.error, new RegExp(`1 blobs are missing .*${lost}.*--allow-missing-blobs`))
    assert.equal(await pdsOf(dave.did), home().url)
    const done = JSON.parse(await expect(0, dave.move('--rotation-key', own.file, '--allow-missing-blobs')))
    assert.deepEqual(done.missingBlobs, [lost])
    await arrived(dave)
  })

  test(`${verb}: what is written while a code is waited for comes along`, async () => {
    const erin = await signUp(name('erin'), home(), goal())
    assert.equal((await erin.move()).code, 3)
    await erin.agent.post({ text: 'before I go', createdAt: new Date().toISOString() })
    const { data } = await erin.agent.uploadBlob(new Uint8Array([...PNG, 7]), { encoding: 'image/png' })
    const embed = { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: 'late' }] }
    await erin.agent.post({ text: 'with a picture', createdAt: new Date().toISOString(), embed })
    const before = await contents(erin.agent, erin.did)
    await expect(0, erin.move('--plc-code', await home().code(erin.did)))
    assert.deepEqual(await contents(await arrived(erin), erin.did), before)
  })

  test(`${verb}: refusals change nothing and say how the account stands`, async () => {
    const frank = await signUp(name('frank'), home(), goal())
    const wrong = join(work, 'wrong')
    await writeFile(wrong, 'not the password')
    const refused = await frank.move('--password-file', wrong)
    assert.equal(refused.code, 1)
    assert.match(refused.errors, /the step account stopped: .*refused/)
    const reserved = await frank.move('--handle', 'xrpc.example.com')
    assert.equal(reserved.code, 1, reserved.errors)
    assert.equal((await statusAt(goal().url, frank.did)), 'absent')
    assert.match(reserved.errors, /As it stands, the account's document names .*; at .* it is active; at .* there is no such account/)
    await expect(0, frank.move('--until', 'account'))
    const other = await frank.move('--new-password-file', wrong)
    assert.match(other.errors, /there is an account at .* that the new password does not open/)
    const key = await ownKey(name('stranger'))
    const stranger = await frank.move('--rotation-key', key.file)
    assert.equal(stranger.code, 1)
    assert.match(stranger.errors, /is no rotation key of/)
    const nowhere = await start('migrate', verb, frank.did, '--plc', directory.plc, '--file', join(work, 'none.json')).ended
    assert.equal(nowhere.code, 2)
    assert.match(nowhere.errors, /--to URL/)
    assert.equal(await pdsOf(frank.did), home().url)
    assert.equal(await statusAt(home().url, frank.did), 'active')
  })
}

test('in: a code that was used before the move was killed is not needed again', async () => {
  const heidi = await signUp('heidi', npm, house)
  assert.equal((await heidi.move()).code, 3)
  const running = heidi.start('--plc-code', npm.code(heidi.did))
  let ended = false
  running.ended.then(() => (ended = true))
  while (!ended) if ((await readFile(heidi.note, 'utf8')).includes('operation')) running.child.kill('SIGKILL')
  assert.ok((await readFile(heidi.note, 'utf8')).includes('operation'))
  await expect(0, heidi.move())
  await arrived(heidi)
})

test('in: a second call needs neither addresses nor a handle that still leads somewhere', async () => {
  const own = await ownKey('ivan')
  const ivan = await signUp('ivan', npm, house, own.key)
  const flags = ['--plc', directory.plc, '--json', '--password-file', files.old, '--new-password-file', files.new]
  const first = ['--to', house.url, '--resolver', npm.url, '--rotation-key', own.file, '--until', 'identity']
  await expect(0, start('migrate', 'in', ivan.handle, ...flags, ...first).ended)
  const said = JSON.parse(await expect(0, start('migrate', 'in', ivan.handle, ...flags).ended))
  assert.equal(said.complete, true)
  await arrived(ivan)
  assert.equal((await stat(join(work, `${ivan.handle}.move.json`))).mode & 0o777, 0o600)
})

test('in: the owner of a did:web publishes the document that the move has written', async () => {
  let document
  const website = createServer((_, response) => response.end(JSON.stringify(document)))
  await once(website.listen(0, '127.0.0.1'), 'listening')
  const did = `did:web:localhost%3a${website.address().port}`
  const keypair = await Secp256k1Keypair.create()
  const method = { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: keypair.did().slice(8) }
  const blog = { id: '#blog', type: 'Blog', serviceEndpoint: 'https://blog.example.com' }
  document = { '@context': [], id: did, alsoKnownAs: ['at://judy.test'], verificationMethod: [method], service: [blog] }

  const anyone = new AtpAgent({ service: npm.url })
  const { data: described } = await anyone.com.atproto.server.describeServer()
  const lxm = 'com.atproto.server.createAccount'
  const token = await createServiceJwt({ iss: did, aud: described.did, lxm, keypair })
  const account = { did, handle: 'judy.test', email: 'judy@example.com', password: OLD_PASSWORD }
  await anyone.com.atproto.server.createAccount(account, { headers: { authorization: `Bearer ${token}` } })
  const agent = new AtpAgent({ service: npm.url })
  await agent.login({ identifier: did, password: OLD_PASSWORD })
  const { data: wanted } = await agent.com.atproto.identity.getRecommendedDidCredentials()
  method.publicKeyMultibase = wanted.verificationMethods.atproto.slice(8)
  const pds = { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: npm.url }
  document.service.push(pds)
  await agent.com.atproto.server.activateAccount()
  await agent.post({ text: 'from my own domain', createdAt: new Date().toISOString() })
  const before = await contents(agent, did)

  const note = join(work, 'judy.json')
  const flags = ['--to', house.url, ...common(note), '--password-file', files.old, '--new-password-file', files.new]
  const waits = await start('migrate', 'in', did, ...flags).ended
  assert.equal(waits.code, 3, waits.errors)
  assert.match(waits.errors, /the document of did:web:localhost%3a\d+ is yours to publish: put .*judy\.did\.json/)
  document = JSON.parse(await readFile(join(work, 'judy.did.json'), 'utf8'))
  assert.deepEqual(document.service.map((entry) => entry.serviceEndpoint), ['https://blog.example.com', house.url])
  await expect(0, start('migrate', 'in', did, ...flags).ended)
  assert.equal(await statusAt(house.url, did), 'active')
  assert.equal(await statusAt(npm.url, did), 'deactivated')
  const moved = new AtpAgent({ service: house.url })
  await moved.login({ identifier: did, password: NEW_PASSWORD })
  assert.deepEqual(await contents(moved, did), before)
  await moved.post({ text: 'and on', createdAt: new Date().toISOString() })
  website.close()
})

test('in: an old server that is down after the change does not keep the new one from serving the account', async () => {
  const own = await ownKey('grace')
  const grace = await signUp('grace', npm, house, own.key)
  const before = await contents(grace.agent, grace.did)
  await expect(0, grace.move('--rotation-key', own.file, '--until', 'identity'))
  await reference.stop()
  const alone = await grace.move('--rotation-key', own.file)
  await reference.start()
  assert.equal(alone.code, 1)
  const said = JSON.parse(alone.output)
  assert.deepEqual([said.step, said.standing.new.account, said.standing.old.account], ['deactivate', 'active', 'unknown'])
  assert.equal(await statusAt(npm.url, grace.did), 'active')
  await expect(0, grace.move())
  assert.deepEqual(await contents(await arrived(grace), grace.did), before)
})

test('in: a code that the old server mails for each sign-in is asked for by every command that signs in there', async () => {
  const own = await ownKey('niaj')
  const niaj = await signUp('niaj', npm, house, own.key)
  const before = await contents(niaj.agent, niaj.did)
  const old = await middleman(npm, { mailsCodes: true })
  const move = (...flags) => niaj.move('--from', old.url, '--rotation-key', own.file, ...flags)
  for (const dry of [['--dry-run'], []]) {
    const asked = await move(...dry)
    assert.equal(asked.code, 3, asked.errors)
    assert.match(asked.errors, new RegExp(`${old.url} has mailed a sign-in code to .*: run this again with --sign-in-code CODE`))
  }
  assert.equal(await statusAt(house.url, niaj.did), 'absent')
  const wrong = await move('--sign-in-code', 'AAAAA-BBBBB')
  assert.equal(wrong.code, 3, wrong.errors)
  assert.match(wrong.errors, /does not take the sign-in code: Token is invalid; without --sign-in-code another code is mailed/)

  const account = ['--server', old.url, '--plc', directory.plc, '--password-file', files.old]
  const backup = join(work, 'niaj.tar')
  const key = join(work, 'niaj.delegate')
  await run('key', 'new', key, '--type', 'p256', '--no-words')
  for (const command of [
    ['account', 'export', niaj.did, '--output', backup],
    ['delegate', 'create', '--identifier', niaj.did, '--key', key],
  ]) {
    const refused = await start(...command, ...account).ended
    assert.equal(refused.code, 1, refused.errors)
    assert.match(refused.errors, /run this again with --sign-in-code CODE/)
  }
  await run('account', 'export', niaj.did, '--output', backup, ...account, '--sign-in-code', old.mailed.at(-1))

  await move()
  const code = old.mailed.at(-1)
  const sent = old.mailed.length
  assert.equal(JSON.parse(await expect(0, move('--sign-in-code', code))).complete, true)
  assert.equal(old.mailed.length, sent, 'one code was enough for the whole move')
  assert.ok(!(await readFile(niaj.note, 'utf8')).includes(code), 'no code is noted')
  assert.deepEqual(await contents(await arrived(niaj), niaj.did), before)
  old.stop()
})

test('in: blobs that the old server fails over, or breaks off, keep neither the others nor a backup from coming', async () => {
  const own = await ownKey('olivia')
  const olivia = await signUp('olivia', npm, house, own.key)
  const before = await contents(olivia.agent, olivia.did)
  const [broken, cut] = olivia.blobs
  let spoilt = (url) => (url.includes(broken) ? 'broken' : url.includes(cut) ? 'cut' : undefined)
  const old = await middleman(npm, { spoilt: (url) => spoilt(url) })
  const backup = ['--output', join(work, 'olivia.tar'), '--password-file', files.old, '--plc', directory.plc, '--json']
  const { verified } = JSON.parse(await run('account', 'export', olivia.did, '--server', old.url, ...backup))
  assert.deepEqual([verified.records, verified.blobs], [12, 0])
  assert.deepEqual(verified.missing.sort(), [broken, cut].sort())
  const move = (...flags) => olivia.move('--from', old.url, '--rotation-key', own.file, ...flags)
  const stopped = await move()
  assert.equal(stopped.code, 1, stopped.errors)
  assert.match(stopped.errors, new RegExp(`does not give the blob ${broken}: .*out of order`))
  assert.match(stopped.errors, new RegExp(`does not give the whole blob ${cut}: `))
  const said = JSON.parse(stopped.output)
  assert.equal(said.step, 'check')
  assert.match(said.error, /^2 blobs are missing .*--allow-missing-blobs/)
  spoilt = (url) => (url.includes(broken) ? 'broken' : undefined)
  assert.match(JSON.parse((await move()).output).error, new RegExp(`^1 blobs are missing .*${broken}`))
  assert.equal(await pdsOf(olivia.did), npm.url)
  spoilt = () => undefined
  assert.deepEqual(JSON.parse(await expect(0, move())).missingBlobs, [])
  assert.deepEqual(await contents(await arrived(olivia), olivia.did), before)
  old.stop()
})

test('in: an account is never brought back to what it was at a server that it has left', async () => {
  const own = await ownKey('peggy')
  const peggy = await signUp('peggy', npm, house, own.key)
  await expect(0, peggy.move('--rotation-key', own.file, '--until', 'activate'))
  const here = new AtpAgent({ service: house.url })
  await here.login({ identifier: peggy.did, password: NEW_PASSWORD })
  await here.post({ text: 'after the move', createdAt: new Date().toISOString() })
  const before = await contents(here, peggy.did)

  // It was never switched off at npm's, where it is without that post.
  const passwords = ['--password-file', files.new, '--new-password-file', files.old, '--rotation-key', own.file]
  const back = (...flags) =>
    start('migrate', 'out', peggy.did, '--to', npm.url, ...common(join(work, 'peggy.back.json')), ...passwords, ...flags).ended
  const refused = await back()
  assert.equal(refused.code, 1, refused.errors)
  assert.match(refused.errors, /is active at .* although its document names another server: deactivate it there/)
  await peggy.agent.com.atproto.server.deactivateAccount({})
  await expect(0, back())
  const returned = { ...peggy, home: house, goal: npm }
  assert.deepEqual(await contents(await arrived(returned, OLD_PASSWORD), peggy.did), before)

  // On to a third server; what the first two have is of yesterday.
  const third = { url: directory.pds }
  const on = ['--to', third.url, ...common(join(work, 'peggy.on.json')), '--rotation-key', own.file]
  await expect(0, start('migrate', 'out', peggy.did, ...on, '--password-file', files.old, '--new-password-file', files.new).ended)
  const stale = await peggy.move('--from', npm.url, '--rotation-key', own.file)
  assert.equal(stale.code, 1, stale.errors)
  assert.match(stale.errors, /does not live at .* any more: .* with --from/)
  assert.equal(await pdsOf(peggy.did), third.url)
  assert.equal(await statusAt(third.url, peggy.did), 'active')
})

test('out: an account that the new server has deleted meanwhile is made and filled anew', async () => {
  const own = await ownKey('rupert')
  const rupert = await signUp('rupert', house, npm, own.key)
  const before = await contents(rupert.agent, rupert.did)
  await expect(0, rupert.move('--until', 'check'))
  await reference.admin('com.atproto.admin.deleteAccount', { did: rupert.did })
  await expect(0, rupert.move('--rotation-key', own.file))
  assert.deepEqual(await contents(await arrived(rupert), rupert.did), before)
})

test('out: a did:web under the own domain of its server cannot leave it, and is told so before anything happens', async () => {
  const did = 'did:web:trudy.test'
  const anyone = new AtpAgent({ service: house.url })
  const account = { did, handle: 'trudy.test', email: 'trudy@example.com', password: OLD_PASSWORD }
  await anyone.com.atproto.server.createAccount(account)
  const passwords = ['--password-file', files.old, '--new-password-file', files.new]
  const move = (...flags) =>
    start('migrate', 'out', did, '--from', house.url, '--to', npm.url, ...common(join(work, 'trudy.json')), ...passwords, ...flags).ended
  for (const dry of [['--dry-run'], []]) {
    const refused = await move(...dry)
    assert.equal(refused.code, 1, refused.errors)
    assert.match(refused.errors, /did:web:trudy\.test cannot leave/)
    assert.match(refused.errors, /housekey account export/)
  }
  assert.equal(await statusAt(npm.url, did), 'absent')
  assert.equal(await statusAt(house.url, did), 'active')
})

test('in: a closed server lets in whoever brings a code of its administrator', async () => {
  const closed = await serveHousekey(directory.plc, { ...ADMIN, HOUSEKEY_ACCOUNTS_CLOSED: 'true', ...LOCAL })
  const own = await ownKey('sybil')
  const sybil = await signUp('sybil', npm, { url: closed.pds }, own.key)
  const before = await contents(sybil.agent, sybil.did)
  const refused = await sybil.move('--rotation-key', own.file)
  assert.equal(refused.code, 1, refused.errors)
  assert.match(refused.errors, /Sign-up is closed: an account moves in with an invite code .*housekey invite create/)
  const made = start('invite', 'create', '--server', closed.pds, '--json')
  const [code] = JSON.parse(await expect(0, made.ended)).codes
  await expect(0, sybil.move('--rotation-key', own.file, '--invite-code', code))
  assert.deepEqual(await contents(await arrived(sybil), sybil.did), before)
  await closed.stop()
})

test('a delegation survives the way out and back in, signed by the owner alone', async () => {
  const own = await ownKey('bob')
  const bob = await signUp('bob', house, npm, own.key)
  const delegate = join(work, 'bob.delegate')
  await run('key', 'new', delegate, '--type', 'p256', '--no-words')
  await run(
    ...['delegate', 'create', '--identifier', bob.did, '--server', server.pds, '--plc', directory.plc],
    ...['--password-file', files.old, '--key', delegate],
  )
  const named = (await documentData(bob.did)).verificationMethods.e2ee
  assert.ok(named)
  const before = await contents(bob.agent, bob.did)

  const out = JSON.parse(await expect(0, bob.move('--rotation-key', own.file)))
  assert.deepEqual(out.delegations, [{ id: 'e2ee', verified: true }])
  assert.equal((await documentData(bob.did)).verificationMethods.e2ee, named)
  const away = await arrived(bob)
  assert.deepEqual(await contents(away, bob.did), before)
  await away.post({ text: 'from abroad', createdAt: new Date().toISOString() })
  const abroad = await contents(away, bob.did)

  const back = { ...bob, verb: 'in', home: npm, goal: house }
  const flags = ['--to', house.url, '--password-file', files.new, '--new-password-file', files.old, '--rotation-key', own.file]
  const returned = JSON.parse(await expect(0, start('migrate', 'in', bob.did, ...common(bob.note), ...flags).ended))
  assert.deepEqual(returned.delegations, [{ id: 'e2ee', verified: true }])
  assert.deepEqual(await contents(await arrived(back, OLD_PASSWORD), bob.did), abroad)
  // The owner goes on: the next key.
  const next = join(work, 'bob.next')
  await run('key', 'new', next, '--type', 'p256', '--no-words')
  await run(
    ...['delegate', 'rotate', '--identifier', bob.did, '--server', server.pds, '--plc', directory.plc],
    ...['--password-file', files.old, '--key', delegate, '--next', next],
  )
  const verdict = await start('verify', bob.did, '--plc', directory.plc, '--json').ended
  assert.equal(verdict.code, 0, verdict.errors)
})

/** An account at `home` with posts, pictures and preferences, that is to move to `goal`. */
async function signUp(name, home, goal, recoveryKey) {
  const agent = new AtpAgent({ service: home.url })
  const handle = `${name}.test`
  const { data } = await agent.com.atproto.server.createAccount({
    handle,
    email: `${name}@example.com`,
    password: OLD_PASSWORD,
    recoveryKey,
  })
  await agent.login({ identifier: data.did, password: OLD_PASSWORD })
  const did = data.did
  for (let n = 0; n < 10; n++) await agent.post({ text: `post ${n}`, createdAt: new Date(n * 1_000).toISOString() })
  const blobs = []
  for (const size of [10, 70_000]) {
    const { data } = await agent.uploadBlob(new Uint8Array([...PNG, ...randomBytes(size)]), { encoding: 'image/png' })
    blobs.push(data.blob.ref.toString())
    const images = [{ image: data.blob, alt: 'a picture' }]
    await agent.post({ text: 'look', createdAt: new Date(0).toISOString(), embed: { $type: 'app.bsky.embed.images', images } })
  }
  await agent.app.bsky.actor.putPreferences({
    preferences: [
      { $type: 'app.bsky.actor.defs#adultContentPref', enabled: false },
      // Of which a server derives another one, which it does not keep.
      { $type: 'app.bsky.actor.defs#personalDetailsPref', birthDate: '1990-05-05T00:00:00.000Z' },
    ],
  })
  const note = join(work, `${name}.json`)
  const verb = home === npm ? 'in' : 'out'
  const passwords = ['--password-file', files.old, '--new-password-file', files.new]
  const flagged = (flags) => passwords.filter((_, at) => !flags.includes(passwords[at - (at % 2)]))
  const run = (...flags) => start('migrate', verb, did, '--to', goal.url, ...common(note), ...flagged(flags), ...flags)
  return { agent, did, handle, blobs, note, home, goal, start: run, move: (...flags) => run(...flags).ended }
}

/** The account at its goal, where it works, and not at its home any more. */
async function arrived({ did, home, goal }, password = NEW_PASSWORD) {
  assert.equal(await pdsOf(did), goal.url)
  assert.equal(await statusAt(goal.url, did), 'active')
  assert.equal(await statusAt(home.url, did), 'deactivated')
  const agent = new AtpAgent({ service: goal.url })
  await agent.login({ identifier: did, password })
  const { uri } = await agent.post({ text: 'hello', createdAt: new Date().toISOString() })
  await agent.deletePost(uri)
  return agent
}

/**
 * A server in front of `home`. Where it `mailsCodes`, each sign-in needs the code of `mailed` that it has just sent, as at
 * bsky.social; `spoilt` says of an address whether it answers that it is out of order, or with half of the answer.
 */
async function middleman(home, { mailsCodes = false, spoilt = () => undefined }) {
  const mailed = []
  let wanted
  const refuse = (response, status, error, message) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error, message }))
  }
  const server = createServer(async (request, response) => {
    const pieces = []
    for await (const piece of request) pieces.push(piece)
    let body = pieces.length ? Buffer.concat(pieces) : undefined
    if (mailsCodes && request.url === '/xrpc/com.atproto.server.createSession') {
      const { authFactorToken, ...rest } = JSON.parse(body)
      if (authFactorToken === undefined) {
        mailed.push((wanted = randomBytes(5).toString('hex')))
        const message = 'A sign in code has been sent to your email address'
        return refuse(response, 401, 'AuthFactorTokenRequired', message)
      }
      if (authFactorToken !== wanted) return refuse(response, 400, 'InvalidToken', 'Token is invalid')
      wanted = undefined
      body = JSON.stringify(rest)
    }
    const harm = request.url.includes('getBlob') ? spoilt(request.url) : undefined
    if (harm === 'broken') return refuse(response, 500, 'InternalServerError', 'out of order')
    const { authorization, 'content-type': type } = request.headers
    const headers = { ...(authorization && { authorization }), ...(type && { 'content-type': type }) }
    const answer = await fetch(home.url + request.url, { method: request.method, headers, body })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const kind = answer.headers.get('content-type')
    response.writeHead(answer.status, { ...(kind && { 'content-type': kind }), 'content-length': bytes.length })
    if (harm === 'cut') return response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
    response.end(bytes)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${server.address().port}`, mailed, stop }
}

/** Everything that must be the same after a move: records with their CIDs, blobs, preferences. */
async function contents(agent, did) {
  const records = []
  let cursor
  do {
    const { data } = await agent.com.atproto.repo.listRecords({ repo: did, collection: POSTS, limit: 100, cursor })
    records.push(...data.records.map((record) => `${record.uri} ${record.cid}`))
    cursor = data.cursor
  } while (cursor)
  const { data: listed } = await agent.com.atproto.sync.listBlobs({ did })
  const blobs = await Promise.all(
    listed.cids.map(async (cid) => {
      const { data } = await agent.com.atproto.sync.getBlob({ did, cid })
      return `${cid} ${Buffer.from(data).toString('base64')}`
    }),
  )
  const { data: preferences } = await agent.app.bsky.actor.getPreferences()
  return { records: records.sort(), blobs: blobs.sort(), preferences }
}

async function ownKey(name) {
  const file = join(work, `${name}.key`)
  const made = await run('key', 'new', file, '--type', 'k256', '--no-words', '--json')
  return { file, key: JSON.parse(made).key }
}

async function admin(nsid, input) {
  const authorization = `Basic ${btoa(`admin:${ADMIN.HOUSEKEY_ADMIN_PASSWORD}`)}`
  const headers = { 'content-type': 'application/json', authorization }
  const response = await fetch(`${server.pds}/xrpc/${nsid}`, { method: 'POST', headers, body: JSON.stringify(input) })
  const body = await response.text()
  assert.ok(response.ok, `${nsid}: ${body}`)
  return body ? JSON.parse(body) : {}
}

async function documentData(did) {
  const response = await fetch(`${directory.plc}/${did}/data`)
  return response.json()
}

const pdsOf = async (did) => (await documentData(did)).services.atproto_pds.endpoint

async function statusAt(service, did) {
  const response = await fetch(`${service}/xrpc/com.atproto.sync.getRepoStatus?did=${encodeURIComponent(did)}`)
  const status = await response.json()
  if (status.error) return status.error === 'RepoNotFound' ? 'absent' : status.error
  return status.active ? 'active' : status.status
}

const common = (note) => ['--file', note, '--plc', directory.plc, '--json']

/** Runs the binary; `ended` is its exit code and what it wrote. */
function start(...args) {
  const env = { ...process.env, ...ADMIN }
  const child = spawn(BINARY, args, { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [output, errors] = ['', '']
  child.stdout.on('data', (bytes) => (output += bytes))
  child.stderr.on('data', (bytes) => (errors += bytes))
  return { child, ended: once(child, 'close').then(([code]) => ({ code, output, errors })) }
}

async function expect(code, ending) {
  const done = await ending
  assert.equal(done.code, code, done.errors + done.output)
  return done.output
}

const run = (...args) => expect(0, start(...args).ended)
