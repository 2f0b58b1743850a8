/**
 * A keyed checksum of a stream of bytes, at several times the speed of a hash: AES-GMAC, with a random key for each run.
 *
 * Two streams that differ have equal checksums with a chance of one in 2^90 or less, whatever their bytes are, because the
 * key is chosen at random and unknown to what carries the bytes. All streams of a run share key and nonce, so that equal
 * streams have equal checksums: that would not do against a forger who sees them, and is enough against faults.
 */
import { createCipheriv, randomBytes } from "node:crypto"

/** A new key, as text. */
export const newMacKey = (): string => randomBytes(keyBytes).toString("hex")

/** The checksum of the bytes that it was given, in whatever pieces. */
export class StreamMac {
  readonly #cipher: ReturnType<typeof cipherOf>

  /** `key` is of {@link newMacKey}. */
  constructor(key: string) {
    this.#cipher = cipherOf(key)
  }

  update(bytes: Uint8Array): void {
    // Data that is authenticated and not encrypted: nothing is written. Empty data would end the sequence of pieces.
    if (bytes.length > 0) this.#cipher.setAAD(bytes)
  }

  /** The last call. */
  digest(): string {
    this.#cipher.final()
    return this.#cipher.getAuthTag().toString("hex")
  }
}

/** The checksum of bytes that are there at once. */
export const macOf = (key: string, bytes: Uint8Array): string => {
  const mac = new StreamMac(key)
  mac.update(bytes)
  return mac.digest()
}

// --- internal ---

const keyBytes = 16
const nonce = Buffer.alloc(12)

const cipherOf = (key: string) => createCipheriv("aes-128-gcm", Buffer.from(key, "hex"), nonce)
