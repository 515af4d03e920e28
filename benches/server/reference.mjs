// Starts npm's @atproto/pds and @did-plc/server on loopback until it is told to stop, and prints the flags with which
// `cargo bench --bench server` measures that PDS in alternation with Housekey. Run with the Node that `./check clients` set up:
//
//   target/check/python/bin/node benches/server/reference.mjs
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { startReferencePds } from '../../tests/clients/reference_pds.mjs'

if (process.argv[2] === '--directory') {
  // In a process of its own: its work is not the PDS's.
  const require = createRequire(new URL('../../tests/clients/package.json', import.meta.url))
  const plc = require('@did-plc/server')
  const { app } = plc.PlcServer.create({ db: plc.Database.mock() })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  console.log(`http://127.0.0.1:${server.address().port}`)
} else {
  const directory = spawn(process.execPath, [import.meta.filename, '--directory'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [plc] = await once(createInterface({ input: directory.stdout }), 'line')
  const pds = await startReferencePds({ plc })
  console.log(`--against ${pds.url} --against-pid ${pds.pid}`)
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      await pds.remove()
      directory.kill()
    })
  }
}
