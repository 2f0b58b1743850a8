/**
 * The benchmark's records: a sequence number and a fixed pattern, so that the sum of all records is known without
 * summing them while the clock runs.
 */
const wordBytes = 8
const wordMask = (1n << 64n) - 1n

/** The seed of the pattern, the same in every run. */
export const contentSeed = 0x5eed

/** One reused record, in which `stamp` changes the sequence number. */
export interface BenchRecord {
  readonly bytes: Uint8Array
  readonly stamp: (sequence: number) => void
}

/** `recordBytes` is a multiple of 8. */
export const makeRecord = (recordBytes: number): BenchRecord => {
  const bytes = patternOf(recordBytes)
  const words = new Uint32Array(bytes.buffer)
  return {
    bytes,
    stamp: (sequence) => {
      words[0] = sequence
      words[1] = sequence / 2 ** 32
    }
  }
}

/** The sum of the first `count` records of one session, as 64-bit words. */
export const sumOf = (recordBytes: number, count: number): bigint => {
  const words = new BigUint64Array(patternOf(recordBytes).buffer)
  const pattern = words.subarray(1).reduce((sum, word) => sum + word, 0n)
  const n = BigInt(count)
  return (n * pattern + n * (n - 1n) / 2n) & wordMask
}

export const formatSum = (sum: bigint): string => (sum & wordMask).toString(16).padStart(16, "0")

/**
 * Sums bytes as 64-bit words in plain JavaScript, in two numbers that hold 32 bits of the sum and its carries. The
 * bytes must begin at a multiple of 4.
 */
export class JavaScriptSum {
  #low = 0
  #high = 0
  /** The bytes of the previous call, often the same: to ask for their buffer costs more than the sum of a short message. */
  #bytes: Uint8Array = new Uint8Array(0)
  #offset = 0
  #words: Uint32Array = new Uint32Array(0)

  add(bytes: Uint8Array, from = 0, to = bytes.length): void {
    if (bytes !== this.#bytes) this.#begin(bytes)
    const words = this.#words
    const end = (this.#offset + to) >>> 2
    let low = 0
    let high = 0
    let low2 = 0
    let high2 = 0
    let i = (this.#offset + from) >>> 2
    // Two sums of each half, because an addition waits for the one before it.
    for (; i + 3 < end; i += 4) {
      low += words[i] as number
      high += words[i + 1] as number
      low2 += words[i + 2] as number
      high2 += words[i + 3] as number
    }
    if (i + 1 < end) {
      low += words[i] as number
      high += words[i + 1] as number
    }
    low += low2
    high += high2
    // Exact: a batch has far fewer than 2^21 words.
    low += this.#low
    this.#low = low >>> 0
    this.#high = (this.#high + high + Math.floor(low / 2 ** 32)) >>> 0
  }

  #begin(bytes: Uint8Array): void {
    if (bytes.buffer !== this.#words.buffer) {
      this.#words = new Uint32Array(bytes.buffer, 0, bytes.buffer.byteLength >> 2)
    }
    this.#bytes = bytes
    this.#offset = bytes.byteOffset
  }

  value(): bigint {
    return (BigInt(this.#high) << 32n) + BigInt(this.#low)
  }
}

// --- internal ---

const patternOf = (recordBytes: number): Uint8Array<ArrayBuffer> => {
  const words = new Uint32Array(recordBytes / wordBytes * 2)
  let state = contentSeed
  for (let i = 2; i < words.length; i += 1) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0
    words[i] = state
  }
  return new Uint8Array(words.buffer)
}
