// Delegation statements, made by docs/delegation.md with nothing of ours.
import { createHash } from 'node:crypto'
import { encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as digest from 'multiformats/hashes/digest'

/**
 * A statement about `did` at the head of the log `log`, in JSON. A key has `did()` and `sign(bytes)`; without one, the
 * statement ends the delegation.
 */
export async function statementAt(log, did, key, endorser) {
  const body = {
    $type: 'dev.housekey.delegation.defs#statement',
    did,
    id: 'e2ee',
    key: key?.did() ?? null,
    prev: log.findLast(({ nullified }) => !nullified).cid,
    endorsed: endorser !== undefined,
    createdAt: new Date().toISOString(),
  }
  const signed = encode(body)
  return {
    ...body,
    ...(key && { claim: bytes(await key.sign(signed)) }),
    ...(endorser && { endorsement: bytes(await endorser.sign(signed)) }),
  }
}

/** The CID of what is signed. */
export function cidOf({ claim, endorsement, ...body }) {
  const hash = createHash('sha256').update(encode(body)).digest()
  return CID.createV1(0x71, digest.create(0x12, hash)).toString()
}

/** Bytes in JSON. */
export const bytes = (value) => ({ $bytes: Buffer.from(value).toString('base64').replace(/=+$/, '') })
