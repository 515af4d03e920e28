// A person's browser: a key made and used by WebCrypto, and the page about the delegation as people see it.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { formatDidKey, P256_JWT_ALG, parseMultikey } from '@atproto/crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { chromium } from 'playwright-core'
import { startHousekey } from './housekey.mjs'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const CREATE = 'dev.housekey.delegation.createDelegation'
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

let server, browser, alice, bob
before(async () => {
  assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing: install Chromium, or name it in the variable CHROMIUM`)
  server = await startHousekey('--accounts', 'alice,bob')
  ;[alice, bob] = server.accounts
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
})
after(async () => {
  await browser?.close()
  await server?.stop()
})

/** An owner's client: a page on the server's origin, whose P-256 key never leaves the browser. */
async function owner(account) {
  const page = await browser.newPage()
  await page.goto(`${server.pds}/`)
  const point = await page.evaluate(async () => {
    window.pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
    return [...new Uint8Array(await crypto.subtle.exportKey('raw', window.pair.publicKey))]
  })
  const key = formatDidKey(P256_JWT_ALG, Uint8Array.from(point))
  // From the directory itself, as a page of any origin can read it.
  const prev = await page.evaluate(async ({ plc, did }) => {
    const log = await (await fetch(`${plc}/${did}/log/audit`)).json()
    return log.findLast((entry) => !entry.nullified).cid
  }, { plc: server.plc, did: account.did })
  const unsigned = {
    $type: 'dev.housekey.delegation.defs#statement',
    did: account.did,
    id: 'e2ee',
    key,
    prev,
    endorsed: false,
    createdAt: new Date().toISOString(),
  }
  return { page, key, unsigned, account }
}

/** A signature of which half have a high s, as WebCrypto makes them; this one has one. */
async function highSignature(client) {
  const bytes = [...dagCbor.encode(client.unsigned)]
  for (;;) {
    const signature = Uint8Array.from(
      await client.page.evaluate(async (bytes) => {
        const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
        const signed = await crypto.subtle.sign(algorithm, window.pair.privateKey, Uint8Array.from(bytes))
        return [...new Uint8Array(signed)]
      }, bytes),
    )
    if (number(signature.subarray(32)) > P256_ORDER / 2n) return signature
  }
}

const number = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)

function normalised(signature) {
  const low = (P256_ORDER - number(signature.subarray(32))).toString(16).padStart(64, '0')
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(low, 'hex')])
}

/** Sends the claim in a session that was opened this instant. */
async function create({ page, unsigned, account }, signature) {
  const $bytes = Buffer.from(signature).toString('base64').replace(/=+$/, '')
  const statement = { ...unsigned, claim: { $bytes } }
  return page.evaluate(
    async ({ handle, password, method, statement }) => {
      const post = async (method, body, token) => {
        const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
        const answer = await fetch(`/xrpc/${method}`, { method: 'POST', headers, body: JSON.stringify(body) })
        return { status: answer.status, body: await answer.json() }
      }
      const session = await post('com.atproto.server.createSession', { identifier: handle, password })
      return post(method, { statement }, session.body.accessJwt)
    },
    { handle: account.handle, password: account.password, method: CREATE, statement },
  )
}

/** A visitor's page, and everything that the browser complains about. */
async function visit(path, options) {
  const page = await browser.newPage(options)
  const complaints = []
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`))
  const response = await page.goto(`${server.pds}${path}`)
  return { page, response, complaints }
}

const multicodec = (key) => {
  const multibase = key.slice('did:key:'.length)
  assert.equal(parseMultikey(multibase).jwtAlg, P256_JWT_ALG)
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  const value = [...multibase.slice(1)].reduce((value, c) => value * 58n + BigInt(alphabet.indexOf(c)), 0n)
  return Buffer.from(value.toString(16), 'hex')
}

const fingerprint = (key) =>
  createHash('sha256').update(multicodec(key)).digest('hex').slice(0, 32).match(/.{4}/g).join(' ')

function half(key, did) {
  const k = multicodec(key)
  let hash = Buffer.concat([Buffer.from([0, 0]), k, Buffer.from(did), Buffer.from([0]), Buffer.from('e2ee')])
  for (let round = 0; round < 5200; round++) hash = createHash('sha512').update(hash).update(k).digest()
  const groups = [...Array(6).keys()].map((n) => hash.readUIntBE(n * 5, 5) % 100_000)
  return groups.map((group) => String(group).padStart(5, '0')).join('')
}

let aliceKey
test('a signature that WebCrypto made is taken once its s is low, and not before', async () => {
  const client = await owner(alice)
  const signature = await highSignature(client)
  const refused = await create(client, signature)
  assert.deepEqual([refused.status, refused.body.error], [400, 'InvalidClaim'])
  const accepted = await create(client, normalised(signature))
  assert.equal(accepted.status, 200, JSON.stringify(accepted.body))
  assert.deepEqual([accepted.body.key, accepted.body.state], [client.key, 'active'])
  aliceKey = client.key
  await client.page.close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const [device, viewport] of [['phone', { width: 390, height: 844 }], ['desktop', { width: 1280, height: 900 }]]) {
    test(`the page shows the key on a ${device} in ${colorScheme}, and the browser has nothing to complain about`, async () => {
      const { page, response, complaints } = await visit(`/delegation/${alice.handle}`, { colorScheme, viewport })
      assert.equal(response.status(), 200)
      assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), alice.handle)
      const sections = await page.getByRole('heading', { level: 2 }).allTextContents()
      assert.deepEqual(sections, ['✓ Verified', 'Current key', 'History', 'Safety number'])
      const current = page.getByRole('region', { name: 'Current key' })
      assert.ok(await current.getByText(fingerprint(aliceKey), { exact: true }).isVisible())
      assert.ok(await current.getByText(aliceKey, { exact: true }).isVisible())
      assert.ok(await current.getByRole('img', { name: 'QR code of the key' }).isVisible())
      assert.ok(await page.getByText('rendered by the account’s own server').isVisible())
      assert.deepEqual(await page.getByRole('heading', { level: 3 }).allTextContents(), ['✓ First key'])

      const seen = await page.evaluate(() => ({
        ground: getComputedStyle(document.body).backgroundColor,
        overflow: document.documentElement.scrollWidth - innerWidth,
      }))
      assert.equal(seen.ground, colorScheme === 'light' ? 'rgb(251, 250, 247)' : 'rgb(23, 22, 20)')
      assert.ok(seen.overflow <= 0, `it is ${seen.overflow}px too wide`)
      assert.deepEqual(complaints, [])
      await page.close()
    })
  }
}

test('the safety number is asked for by keyboard alone, and is the one that the contract gives', async () => {
  const { page, complaints } = await visit(`/delegation/${alice.handle}`)
  const ask = async () => {
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.id), 'with')
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type(bob.handle)
    await Promise.all([page.waitForURL(/[?&]with=/), page.waitForLoadState(), page.keyboard.press('Enter')])
  }
  await ask()
  assert.ok(await page.getByText(`${bob.handle} has no verified key`).isVisible())

  const client = await owner(bob)
  assert.equal((await create(client, normalised(await highSignature(client)))).status, 200)
  await page.goto(`${server.pds}/delegation/${alice.handle}`)
  await ask()
  const shown = (await page.locator('.number').textContent()).replace(/\s/g, '')
  assert.equal(shown, [half(aliceKey, alice.did), half(client.key, bob.did)].sort().join(''))
  assert.ok(await page.getByRole('img', { name: 'QR code of the safety number' }).isVisible())
  assert.deepEqual(complaints, [])
})

test('an account that is not here has a page that says so', async () => {
  const { page, response } = await visit('/delegation/nobody.test')
  assert.equal(response.status(), 404)
  assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'No such account')
})

test('the policy of the page keeps every script out', async () => {
  const { page, response } = await visit(`/delegation/${alice.handle}`)
  assert.match(response.headers()['content-security-policy'], /^default-src 'none'; style-src 'self'/)
  const ran = await page.evaluate(async () => {
    const blocked = new Promise((resolve) => document.addEventListener('securitypolicyviolation', resolve, { once: true }))
    const script = document.createElement('script')
    script.textContent = 'window.ran = true'
    document.body.append(script)
    return [window.ran ?? false, (await blocked).effectiveDirective]
  })
  assert.deepEqual(ran, [false, 'script-src-elem'])
})
