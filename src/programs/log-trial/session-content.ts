/**
 * Records whose bytes are determined by their session and sequence number, so that a reader can check each without
 * other data.
 */
import type { IndexedBatch } from "../../services/Subscriber.ts"

export const recordBytes = 1024

/** The header: sequence number (8 bytes, low word first), session, and the inverted sequence number. */
const headerBytes = 16
const bodyBytes = recordBytes - headerBytes
/** The number of offsets in the session's pattern at which bodies begin. */
const bodyOffsets = 4093

const littleEndian = true

export class SessionContent {
  readonly #sessionId: number
  readonly #pattern: Buffer

  constructor(sessionId: number) {
    this.#sessionId = sessionId
    this.#pattern = patternOf(sessionId)
  }

  /** Fills `record` with the record of this sequence number. Allocates nothing. */
  write(record: Buffer, view: DataView, sequence: number): void {
    view.setUint32(0, sequence >>> 0, littleEndian)
    view.setUint32(4, Math.floor(sequence / 2 ** 32), littleEndian)
    view.setUint32(8, this.#sessionId, littleEndian)
    view.setUint32(12, ~sequence >>> 0, littleEndian)
    const at = sequence % bodyOffsets
    this.#pattern.copy(record, headerBytes, at, at + bodyBytes)
  }

  /** True if every byte of the record at `offset` is that of this sequence number. */
  matches(bytes: Buffer, view: DataView, offset: number, sequence: number): boolean {
    const at = sequence % bodyOffsets
    return view.getUint32(offset, littleEndian) === sequence >>> 0
      && view.getUint32(offset + 4, littleEndian) === Math.floor(sequence / 2 ** 32)
      && view.getUint32(offset + 8, littleEndian) === this.#sessionId
      && view.getUint32(offset + 12, littleEndian) === ~sequence >>> 0
      && bytes.compare(this.#pattern, at, at + bodyBytes, offset + headerBytes, offset + recordBytes) === 0
  }
}

/** Counts the records that have a wrong byte. */
export class ContentCheck {
  wrong = 0
  readonly #sessions = new Map<number, SessionContent>()

  see(batch: IndexedBatch): void {
    if (batch.uniformBytes !== recordBytes) {
      this.wrong += batch.messageCount
      return
    }
    const { buffer, byteLength, byteOffset } = batch.payload
    const bytes = Buffer.from(buffer, byteOffset, byteLength)
    const view = new DataView(buffer, byteOffset, byteLength)
    const content = this.#contentOf(batch.sessionId)
    for (let i = 0; i < batch.messageCount; i += 1) {
      if (!content.matches(bytes, view, i * recordBytes, batch.firstMessage + i)) this.wrong += 1
    }
  }

  #contentOf(sessionId: number): SessionContent {
    const known = this.#sessions.get(sessionId)
    if (known !== undefined) return known
    const content = new SessionContent(sessionId)
    this.#sessions.set(sessionId, content)
    return content
  }
}

// --- internal ---

const patternOf = (sessionId: number): Buffer => {
  const pattern = Buffer.alloc(bodyOffsets + bodyBytes)
  let state = Math.imul(sessionId + 1, 0x9e3779b1) | 1
  for (let i = 0; i < pattern.length; i += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    pattern[i] = state & 0xff
  }
  return pattern
}
