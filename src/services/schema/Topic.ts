/**
 * A topic: one ordered log, declared once as a value and shared by publishers, subscribers and tests.
 *
 * A region declares it when it is first opened there. If all places for topics are taken, the new topic takes the place
 * of an unused topic, whose records are dropped: a topic without sessions and readers that the server did not declare.
 */
import * as Effect from "effect/Effect"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Schema from "effect/Schema"
import { encoderOf, type ValueInvalid } from "./ValueInvalid.ts"

/**
 * - `session` (default): one order for every reader, and in it each session's records in their order, without a gap or
 *   a duplicate.
 * - `total`: one order for every reader.
 * - `none`: each lane's records in their order, and none between lanes. Readers read the lanes themselves, without
 *   waiting for the sequencer. Nothing is acknowledged, and a session's records are kept no longer than the session,
 *   except for the subscribers that were attached by then.
 */
export type Order = "none" | "total" | "session"

/**
 * `none`: `flush` waits for no acknowledgement. `ordered`: acknowledged means committed and visible to readers. `durable`:
 * acknowledged means that as many replicas as the server requires have it on their disks, too; room is freed only for what
 * at least one replica has. The default is `ordered`, or `none` where the order is `none`, which has no other.
 */
export type Ack = "none" | "ordered" | "durable"

/** The acknowledgement of a topic that is declared without one. */
export const defaultAck = (order: Order): Ack => order === "none" ? "none" : "ordered"

/** Encodes and decodes a topic's values. */
export interface Codec<A> {
  /** The bytes, or the error of a value that does not match the schema. Never throws. */
  readonly encode: (value: A) => Uint8Array | ValueInvalid
  readonly decode: (bytes: Uint8Array) => Effect.Effect<A, Schema.SchemaError>
}

export interface Topic<in out A = Uint8Array> {
  readonly name: string
  readonly order: Order
  readonly ack: Ack
  readonly codec: Codec<A> | undefined
}

/** The topic is not declared in this region. */
export class TopicUnknown extends Schema.TaggedError<TopicUnknown>()("TopicUnknown", {
  topic: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const known = this.known.length === 0 ? "no topic is declared yet" : `declared here: ${this.known.join(", ")}`
    return `unknown topic "${this.topic}" (${known})`
  }
}

/** The topic exists with another order or acknowledgement level than requested. */
export class TopicMismatch extends Schema.TaggedError<TopicMismatch>()("TopicMismatch", {
  topic: Schema.String,
  wanted: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}" is declared as ${this.found}, not as ${this.wanted} (a topic keeps its declaration)`
  }
}

/** The declaration itself is impossible: its name, its levels or their combination. */
export class TopicInvalid extends Schema.TaggedError<TopicInvalid>()("TopicInvalid", {
  topic: Schema.String,
  reason: Schema.String,
  hint: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}": ${this.reason} (${this.hint})`
  }
}

export type TopicError = TopicUnknown | TopicMismatch | TopicInvalid

export const nameBytesMax = 64

export const defaultOrder: Order = "session"

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/** Whether a topic, or an identity in it, can have that name; and which it can have. */
export const isName = (name: string): boolean =>
  name.length > 0 && name.length <= nameBytesMax && namePattern.test(name)

export const namesText = `1 to ${nameBytesMax} letters, digits, ".", "_" or "-", starting with a letter or digit`

/**
 * Declares a topic. With a `schema`, publishers and subscribers exchange values in Effect's binary encoding; without
 * one, records are bytes. Nothing is checked here: {@link validate} runs when the topic is opened.
 */
export const make: {
  <S extends Schema.Codec<any, any, never, never>>(name: string, options: {
    readonly order?: Order
    readonly ack?: Ack
    readonly schema: S
  }): Topic<S["Type"]>
  (name: string, options?: { readonly order?: Order; readonly ack?: Ack }): Topic
} = (name: string, options?: {
  readonly order?: Order
  readonly ack?: Ack
  readonly schema?: Schema.Codec<any, any, never, never>
}): Topic<any> => ({
  name,
  order: options?.order ?? defaultOrder,
  ack: options?.ack ?? defaultAck(options?.order ?? defaultOrder),
  codec: options?.schema === undefined ? undefined : codecOf(name, options.schema)
})

/**
 * Refuses a declaration that this version cannot serve, and says what to write instead. The types cannot check a
 * declaration that comes from a configuration or from another version's region.
 */
export const validate = (topic: Topic<any>): Effect.Effect<void, TopicInvalid> => {
  const refuse = (reason: string, hint: string) => Effect.fail(new TopicInvalid({ topic: topic.name, reason, hint }))
  if (!isName(topic.name)) return refuse("the name is not usable", namesText)
  if (topic.order !== "total" && topic.order !== "session" && topic.order !== "none") {
    return refuse(`order "${String(topic.order)}" is not served`, `use "session", "total" or "none"`)
  }
  if (topic.ack !== "none" && topic.ack !== "ordered" && topic.ack !== "durable") {
    return refuse(`acknowledgement "${String(topic.ack)}" is not served`, `use "ordered", "durable" or "none"`)
  }
  if (topic.order === "none" && topic.ack !== "none") {
    return refuse(
      `order "none" has no acknowledgement "${topic.ack}", because no sequencer sees a record before its readers`,
      `use ack "none", or order "session" or "total"`
    )
  }
  return Effect.void
}

// --- internal ---

const codecOf = <A, I>(name: string, schema: Schema.Codec<A, I, never, never>): Codec<A> => {
  const decode = Schema.decodeUnknownEffect(SchemaBinary.toCodec(schema))
  return { encode: encoderOf("topic", name, schema), decode: (bytes) => decode(bytes) }
}
