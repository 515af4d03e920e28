// @atproto/api against `housekey serve` with a mail server on loopback: sign up, confirm, change the address, reset the
// password, app passwords, delete. Every code is read from a mail that went over SMTP.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { AtpAgent } from '@atproto/api'
import { BINARY, serveHousekey, startHousekey } from './housekey.mjs'

const run = promisify(execFile)

let plc, mail, server
before(async () => {
  plc = await startHousekey('--accounts', 'nobody')
  mail = await smtpSink()
  server = await serveHousekey(plc.plc, {
    HOUSEKEY_EMAIL_SMTP_URL: mail.url,
    HOUSEKEY_EMAIL_FROM: 'Example PDS <pds@example.com>',
  })
})
after(async () => {
  await server.stop()
  await plc.stop()
  mail.stop()
})

/** A mail server that keeps what it is sent; the next recipient can be refused. */
async function smtpSink() {
  const mails = []
  const waiting = []
  let refusal
  const sink = createServer((socket) => {
    let buffer = ''
    let body
    let to
    const say = (line) => socket.write(`${line}\r\n`)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      buffer += data
      for (let end; (end = buffer.indexOf('\r\n')) >= 0; ) {
        const line = buffer.slice(0, end)
        buffer = buffer.slice(end + 2)
        if (body !== undefined) {
          if (line !== '.') {
            body += `${line}\n`
            continue
          }
          const kept = { to, body: body.replaceAll('=\n', '') }
          body = undefined
          mails.push(kept)
          waiting.shift()?.(kept)
          say('250 kept')
        } else if (/^RCPT TO:/i.test(line)) {
          to = line.match(/<(.*)>/)[1]
          say(refusal ?? '250 ok')
          refusal = undefined
        } else if (/^DATA/i.test(line)) {
          body = ''
          say('354 go on')
        } else if (/^QUIT/i.test(line)) {
          socket.end('221 bye\r\n')
        } else {
          say('250 ok')
        }
      }
    })
    say('220 sink')
  })
  await new Promise((resolve) => sink.listen(0, '127.0.0.1', resolve))
  return {
    url: `smtp://127.0.0.1:${sink.address().port}`,
    mails,
    refuseNext: (answer) => (refusal = answer),
    /** The next mail that comes after `act` began. */
    during: async (act) => {
      const next = new Promise((resolve) => waiting.push(resolve))
      await act()
      return next
    },
    stop: () => sink.close(),
  }
}

const codeIn = (mail) => mail.body.match(/^([A-Z2-7]{5}-[A-Z2-7]{5})$/m)[1]

const refusal = async (promise) => {
  try {
    await promise
  } catch (error) {
    return { status: error.status, error: error.error }
  }
  throw new Error('the request was expected to fail')
}

const signUp = async (name) => {
  const agent = new AtpAgent({ service: server.pds })
  await agent.createAccount({ handle: `${name}.test`, email: `${name}@example.com`, password: 'correct horse' })
  return agent
}

const logIn = async (identifier, password) => {
  const agent = new AtpAgent({ service: server.pds })
  await agent.login({ identifier, password })
  return agent
}

const housekey = async (...args) => {
  const env = { ...process.env, HOUSEKEY_ADMIN_PASSWORD: 'admin password' }
  const { stdout } = await run(BINARY, [...args, '--json'], { env })
  return JSON.parse(stdout)
}

test('somebody signs up, confirms, changes the address, forgets the password and gives an app its own', async () => {
  const agent = await signUp('alice')
  const { com } = agent

  const confirmation = await mail.during(() => com.atproto.server.requestEmailConfirmation())
  assert.equal(confirmation.to, 'alice@example.com')
  await com.atproto.server.confirmEmail({ email: 'alice@example.com', token: codeIn(confirmation) })
  assert.equal((await com.atproto.server.getSession()).data.emailConfirmed, true)

  let tokenRequired
  const update = await mail.during(async () => {
    tokenRequired = (await com.atproto.server.requestEmailUpdate()).data.tokenRequired
  })
  assert.equal(tokenRequired, true)
  assert.equal(
    (await refusal(com.atproto.server.updateEmail({ email: 'new@example.com' }))).error,
    'TokenRequired',
  )
  const told = await mail.during(() =>
    com.atproto.server.updateEmail({ email: 'New@Example.com', token: codeIn(update) }),
  )
  assert.equal(told.to, 'alice@example.com', 'the address before is told')
  const { data: changed } = await com.atproto.server.getSession()
  assert.deepEqual([changed.email, changed.emailConfirmed], ['new@example.com', false])

  const reset = await mail.during(() => com.atproto.server.requestPasswordReset({ email: 'new@example.com' }))
  assert.match(reset.body, /alice\.test/)
  await mail.during(() =>
    com.atproto.server.resetPassword({ token: codeIn(reset), password: 'another horse' }),
  )
  await assert.rejects(com.atproto.server.getSession(), 'the session is over at once')
  await assert.rejects(logIn('alice.test', 'correct horse'))

  const owner = await logIn('new@example.com', 'another horse')
  const { data: made } = await owner.com.atproto.server.createAppPassword({ name: 'phone' })
  assert.match(made.password, /^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/)
  const app = await logIn('alice.test', made.password)
  await app.post({ text: 'from an app', createdAt: new Date().toISOString() })
  assert.equal((await refusal(app.com.atproto.identity.updateHandle({ handle: 'mallory.test' }))).error, 'InvalidToken')
  assert.equal((await refusal(app.com.atproto.server.createAppPassword({ name: 'more' }))).error, 'InvalidToken')
  const { data: listed } = await owner.com.atproto.server.listAppPasswords()
  assert.deepEqual(listed.passwords.map(({ name, privileged }) => [name, privileged]), [['phone', false]])
  await owner.com.atproto.server.revokeAppPassword({ name: 'phone' })
  await assert.rejects(app.com.atproto.server.getSession(), 'revoked at once')
  await owner.com.atproto.server.getSession()

  const goodbye = await mail.during(() => owner.com.atproto.server.requestAccountDelete())
  const { did } = owner.session
  await owner.com.atproto.server.deleteAccount({ did, password: 'another horse', token: codeIn(goodbye) })
  await assert.rejects(logIn('alice.test', 'another horse'))
})

test('nobody learns whether an address is known, and a disposable one is refused', async () => {
  const agent = new AtpAgent({ service: server.pds })
  const before = mail.mails.length
  await agent.com.atproto.server.requestPasswordReset({ email: 'stranger@example.com' })
  assert.equal(mail.mails.length, before)
  const disposable = { handle: 'carol.test', email: 'carol@mailinator.com', password: 'correct horse' }
  assert.equal((await refusal(agent.createAccount(disposable))).error, 'InvalidEmail')
})

test('the administrator sees a mail that failed, tries the mail server and makes a code', async () => {
  const agent = await signUp('dave')
  mail.refuseNext('550 5.1.1 no such mailbox')
  await agent.com.atproto.server.requestEmailConfirmation()
  let failed = []
  while (failed.length === 0) {
    failed = (await housekey('mail', 'list', '--state', 'failed', '--server', server.pds)).mails
  }
  assert.equal(failed[0].recipient, 'dave@example.com')
  assert.match(failed[0].error, /no such mailbox/)
  const { code } = await housekey('account', 'code', 'dave.test', 'confirm-email', '--server', server.pds)
  await agent.com.atproto.server.confirmEmail({ email: 'dave@example.com', token: code })
  assert.equal((await agent.com.atproto.server.getSession()).data.emailConfirmed, true)
})

test('the administrator writes to an owner, changes address and password, and tries a lost mail again', async () => {
  const owner = await signUp('erin')
  const { did } = owner.session
  const administrator = new AtpAgent({ service: server.pds })
  administrator.setHeader('authorization', `Basic ${btoa('admin:admin password')}`)
  const { admin } = administrator.com.atproto
  const letter = { recipientDid: did, senderDid: did, subject: 'Tonight', content: '<p>The server <b>moves</b>.</p>' }
  const told = await mail.during(() => admin.sendEmail(letter))
  assert.equal(told.to, 'erin@example.com')
  assert.match(told.body, /The server moves\./)

  mail.refuseNext('550 5.1.1 no such mailbox')
  await admin.sendEmail({ ...letter, content: 'once more' })
  const listed = async () =>
    (await housekey('mail', 'list', '--state', 'failed', '--server', server.pds)).mails.find((lost) => lost.canBeRetried)
  let lost
  while (!lost) lost = await listed()
  const again = await mail.during(async () => {
    assert.deepEqual((await housekey('mail', 'retry', String(lost.id), '--server', server.pds)).ids, [lost.id])
  })
  assert.match(again.body, /once more/)

  await admin.updateAccountEmail({ account: did, email: 'new-erin@example.com' })
  const { data: session } = await owner.com.atproto.server.getSession()
  assert.deepEqual([session.email, session.emailConfirmed], ['new-erin@example.com', false])
  await mail.during(() => admin.updateAccountPassword({ did, password: 'another horse' }))
  await assert.rejects(owner.com.atproto.server.getSession(), 'the session is over at once')
  await logIn('erin.test', 'another horse')
  const { events } = await housekey('account', 'log', 'erin.test', '--server', server.pds)
  const kinds = events.map((event) => event.kind).reverse()
  // The agent tries its refresh token when its session is over.
  const expected = ['accountCreated', 'signedIn', 'emailChanged', 'passwordChanged', 'refreshReplayed', 'signedIn']
  assert.deepEqual(kinds, expected)
})
