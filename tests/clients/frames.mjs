// Event-stream frames: two DAG-CBOR values, one behind the other.
import { decodeFirst } from '@atcute/cbor'
import { CID } from 'multiformats/cid'

/** Header and body of a frame, links as CIDs. */
export function decodeMultiple(data) {
  const [header, rest] = decodeFirst(new Uint8Array(data))
  const [body, none] = decodeFirst(rest)
  if (none.length > 0) throw new Error('a frame has something behind its body')
  return [header, plain(body)]
}

function plain(value) {
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
  if (typeof value.$link === 'string') return CID.parse(value.$link)
  if (value.buf instanceof Uint8Array) return value.buf
  return Object.fromEntries(Object.entries(value).map(([key, value]) => [key, plain(value)]))
}
