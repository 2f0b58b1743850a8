/**
 * Messages that contain their number: loss, repetition, mixture and pieces of old memory show.
 */
export const stamped = (sequence: number, length = 16): Uint8Array => {
  const bytes = new Uint8Array(Math.max(length, 4))
  for (let i = 4; i < bytes.length; i += 1) bytes[i] = fillOf(sequence, i)
  new DataView(bytes.buffer).setUint32(0, sequence, true)
  return bytes
}

/** The sequence of a stamped message. Throws when it is not whole. */
export const sequenceOf = (bytes: Uint8Array): number => {
  const sequence = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true)
  const wrong = bytes.findIndex((byte, i) => i >= 4 && byte !== fillOf(sequence, i))
  if (wrong >= 0) throw new Error(`message ${sequence} of ${bytes.length} bytes holds another's at ${wrong}`)
  return sequence
}

export const sequencesOf = (messages: ReadonlyArray<{ readonly payload: Uint8Array }>): ReadonlyArray<number> =>
  messages.map(({ payload }) => sequenceOf(payload))

export const numbers = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, i) => from + i)

// --- internal ---

const fillOf = (sequence: number, at: number): number => (sequence * 31 + at * 7) & 0xff
