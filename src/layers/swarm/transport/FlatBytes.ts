/**
 * Writes and reads the fields of a flat encoding: one behind the other, without tags, in little-endian order.
 */

/** Texts up to this length are mostly names and numbers in ASCII, which a loop copies faster than an encoder does. */
const shortText = 64

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Writes one encoding after the other in the same memory. */
export class FlatWriter {
  #bytes = new Uint8Array(4096)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  begin(): void {
    this.#at = 0
  }

  /** A copy: the frame may wait for room in its ring while the next one is written here. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#at)
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#at] = value
    this.#at += 1
  }

  word(value: number): void {
    this.#reserve(4)
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }

  number(value: number): void {
    this.#reserve(8)
    this.#view.setFloat64(this.#at, value, true)
    this.#at += 8
  }

  text(value: string): void {
    this.#reserve(4 + value.length * 3)
    const at = this.#at + 4
    const written = this.#ascii(at, value) ? value.length : encoder.encodeInto(value, this.#bytes.subarray(at)).written
    this.#view.setUint32(this.#at, written, true)
    this.#at = at + written
  }

  rest(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  // False for a text that it cannot write: parts of it may be written then.
  #ascii(at: number, value: string): boolean {
    if (value.length > shortText) return false
    for (let i = 0; i < value.length; i += 1) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return false
      this.#bytes[at + i] = code
    }
    return true
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(2 ** Math.ceil(Math.log2(needed)))
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** Reads what another process wrote: after the first impossible value it reads zeros, and is never at the end. */
export class FlatReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0
  #isWrong = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get isAtEnd(): boolean {
    return !this.#isWrong && this.#at === this.#bytes.length
  }

  get isWrong(): boolean {
    return this.#isWrong
  }

  wrong(): 0 {
    this.#isWrong = true
    return 0
  }

  byte(): number {
    return this.#has(1) ? this.#bytes[this.#at++] as number : 0
  }

  word(): number {
    if (!this.#has(4)) return 0
    this.#at += 4
    return this.#view.getUint32(this.#at - 4, true)
  }

  number(): number {
    if (!this.#has(8)) return 0
    this.#at += 8
    return this.#view.getFloat64(this.#at - 8, true)
  }

  text(): string {
    const bytes = this.word()
    if (!this.#has(bytes)) return ""
    this.#at += bytes
    const ascii = this.#ascii(this.#at - bytes, this.#at)
    if (ascii !== undefined) return ascii
    try {
      return decoder.decode(this.#bytes.subarray(this.#at - bytes, this.#at))
    } catch {
      this.wrong()
      return ""
    }
  }

  /** A copy of all that follows. */
  rest(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.slice(this.#at)
    this.#at = this.#bytes.length
    return bytes as Uint8Array<ArrayBuffer>
  }

  /** The count of a list whose items take at least that many bytes: a forged count must not fill the memory. */
  count(itemBytesMin: number): number {
    const count = this.word()
    if (count * Math.max(1, itemBytesMin) <= this.#bytes.length - this.#at) return count
    return this.wrong()
  }

  #ascii(from: number, to: number): string | undefined {
    if (to - from > shortText) return undefined
    let text = ""
    for (let at = from; at < to; at += 1) {
      const code = this.#bytes[at] as number
      if (code > 0x7f) return undefined
      text += String.fromCharCode(code)
    }
    return text
  }

  #has(bytes: number): boolean {
    if (!this.#isWrong && bytes <= this.#bytes.length - this.#at) return true
    this.wrong()
    return false
  }
}
