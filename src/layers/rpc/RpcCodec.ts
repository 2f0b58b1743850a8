/**
 * Encodes and decodes the messages of Effect RPC, one per frame.
 */
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import type { Parser, RpcSerialization } from "effect/rpc/RpcSerialization"

type Encoded = FromClientEncoded | FromServerEncoded
type Of<K extends Encoded["_tag"]> = Extract<Encoded, { readonly _tag: K }>

export class RpcCodec {
  readonly #serialization: RpcSerialization["Service"]
  readonly #text = new TextEncoder()
  #parser: Parser
  #unreadable = 0

  constructor(serialization: RpcSerialization["Service"]) {
    this.#serialization = serialization
    this.#parser = serialization.makeUnsafe()
  }

  /** Frames that did not decode. */
  get unreadable(): number {
    return this.#unreadable
  }

  /**
   * The bytes, or `undefined` if the serialization encodes the message as nothing. Throws what the serialization
   * throws.
   */
  encode(message: Encoded): Uint8Array | undefined {
    const encoded = this.#parser.encode(message)
    return typeof encoded === "string" ? this.#text.encode(encoded) : encoded
  }

  /** The message, if the bytes hold exactly one and it is of one of these kinds. Keeps none of the bytes. */
  decode<K extends Encoded["_tag"]>(bytes: Uint8Array, kinds: ReadonlySet<K>): Of<K> | undefined {
    // Try again with a new parser: a parser keeps bytes that it could not use, and puts them before the next message.
    const message = this.#parse(bytes) ?? this.#renewed().#parse(bytes)
    if (isOneOf(message, kinds)) return message
    this.#renewed().#unreadable += 1
    return undefined
  }

  // --- internal ---

  #parse(bytes: Uint8Array): unknown {
    try {
      const messages = this.#parser.decode(bytes)
      return messages.length === 1 ? messages[0] : undefined
    } catch {
      return undefined
    }
  }

  #renewed(): this {
    this.#parser = this.#serialization.makeUnsafe()
    return this
  }
}

const isOneOf = <K extends Encoded["_tag"]>(message: unknown, kinds: ReadonlySet<K>): message is Of<K> =>
  typeof message === "object" && message !== null && "_tag" in message && kinds.has(message._tag as K)
