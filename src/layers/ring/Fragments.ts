/**
 * Splits messages that are longer than a frame into parts, and reassembles them.
 */

/** Flag of a frame that is followed by another part of its message. */
export const partFlag = 1

/** Flag of a frame that continues the message of the frame before. */
export const continuedFlag = 2

/** Splits a message into frames of at most that many bytes, for {@link Parts} to reassemble. */
export const partsOf = (
  message: Uint8Array,
  partBytes: number
): ReadonlyArray<{ readonly flags: number; readonly part: Uint8Array }> => {
  const count = Math.max(1, Math.ceil(message.length / partBytes))
  return Array.from({ length: count }, (_, i) => ({
    flags: (i === count - 1 ? 0 : partFlag) | (i === 0 ? 0 : continuedFlag),
    part: message.subarray(i * partBytes, (i + 1) * partBytes)
  }))
}

/**
 * Reassembles messages. Copies each part when it arrives, so that a message may be larger than the ring. Drops a
 * message whose first part is missing, or whose last part never arrives.
 */
export class Parts {
  #parts: Array<Uint8Array> = []

  /** The message that ends with this frame, or `undefined` when more parts follow. */
  whole(flags: number, payload: Uint8Array): Uint8Array | undefined {
    const isFirst = (flags & continuedFlag) === 0
    if (isFirst) this.#parts = []
    else if (this.#parts.length === 0) return undefined
    if (isFirst && (flags & partFlag) === 0) return payload
    this.#parts.push(payload.slice())
    if ((flags & partFlag) !== 0) return undefined
    const whole = concatenate(this.#parts)
    this.#parts = []
    return whole
  }

  forget(): void {
    this.#parts = []
  }
}

// --- internal ---

const concatenate = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
