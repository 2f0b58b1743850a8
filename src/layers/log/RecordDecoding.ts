/**
 * Decodes records into values, and fails, skips or hands over records that do not match the schema.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Codec, Topic } from "../../services/schema/Topic.ts"
import { issueOf } from "../../services/schema/ValueInvalid.ts"
import { type OnInvalid, type Record, RecordInvalid } from "../../services/Subscriber.ts"
import type { ReadingCursor } from "./ReadingCursor.ts"

type RecordBatch<A> = Arr.NonEmptyReadonlyArray<Record<A>>

/**
 * Takes records from a cursor that is ready. A record counts as delivered once it is decoded: an interrupted decoder or
 * handler leaves it to the next run. Returns `undefined` when it took none, because the record was skipped or another
 * fiber took it first.
 */
export class RecordDecoding<A> {
  readonly #topic: string
  readonly #codec: Codec<A> | undefined
  readonly #cursor: ReadingCursor
  readonly #onInvalid: OnInvalid

  constructor(topic: Topic<A>, cursor: ReadingCursor, onInvalid: OnInvalid) {
    this.#topic = topic.name
    this.#codec = topic.codec
    this.#cursor = cursor
    this.#onInvalid = onInvalid
  }

  /** The next record. */
  readonly nextRecord = (): Effect.Effect<readonly [Record<A>] | undefined, RecordInvalid> => {
    const record = this.#cursor.peek()
    if (this.#codec === undefined) {
      this.#cursor.pass(record.position)
      return Effect.succeed([record as Record<any>])
    }
    const decoding = decoded(this.#codec, record)
    const exit = exitOf(decoding)
    return exit === undefined
      ? Effect.flatMap(Effect.exit(decoding), (exit) => this.#decided(record, exit))
      : this.#decided(record, exit)
  }

  /** The next records of one batch, up to the first that does not match. */
  readonly nextBatch = (): Effect.Effect<readonly [RecordBatch<A>] | undefined, RecordInvalid> => {
    const codec = this.#codec
    const records = this.#cursor.peekBatch()
    return codec === undefined
      ? Effect.succeed(this.#passAll(records as ReadonlyArray<Record<any>>))
      : this.#decodeAll(codec, records)
  }

  #decided(
    record: Record<Uint8Array>,
    exit: Exit.Exit<A, unknown>
  ): Effect.Effect<readonly [Record<A>] | undefined, RecordInvalid> {
    if (Exit.isFailure(exit)) return this.#invalid(record, exit.cause)
    const delivered = this.#cursor.pass(record.position)
    return Effect.succeed(delivered ? [{ ...record, value: exit.value }] : undefined)
  }

  #decodeAll(codec: Codec<A>, records: ReadonlyArray<Record<Uint8Array>>) {
    return Effect.gen({ self: this }, function*() {
      const matching: Array<Record<A>> = []
      for (const record of records) {
        const decoding = decoded(codec, record)
        const exit = exitOf(decoding) ?? (yield* Effect.exit(decoding))
        if (Exit.isSuccess(exit)) matching.push({ ...record, value: exit.value })
        // Deliver the records before the invalid one first: the next pull meets it again.
        else if (matching.length > 0) break
        else return yield* this.#invalid(record, exit.cause)
      }
      return this.#passAll(matching)
    })
  }

  #passAll(records: ReadonlyArray<Record<A>>): readonly [RecordBatch<A>] | undefined {
    const [first, ...others] = records
    return first !== undefined && this.#cursor.pass(first.position, records.length) ? [[first, ...others]] : undefined
  }

  #invalid(record: Record<Uint8Array>, cause: Cause.Cause<unknown>): Effect.Effect<undefined, RecordInvalid> {
    if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
    const { position } = record
    const error = new RecordInvalid({ topic: this.#topic, position, issue: issueOf(cause) })
    if (this.#onInvalid === "fail") return Effect.fail(error)
    const told = this.#onInvalid === "skip"
      ? Effect.logWarning(`passed over: ${error.message}`)
      : this.#onInvalid(record, error)
    return Effect.map(told, () => {
      this.#cursor.skip(position)
      return undefined
    })
  }
}

// --- internal ---

/**
 * Turns an error thrown by the schema's own code into a decoding failure: a defect would end the reader without naming
 * the record.
 */
const decoded = <A>(codec: Codec<A>, record: Record<Uint8Array>): Effect.Effect<A, unknown> => {
  try {
    return codec.decode(record.value)
  } catch (error) {
    return Exit.die(error)
  }
}

/** The exit if the effect has ended already, as most decoders have. */
const exitOf = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(effect) ? effect as Exit.Exit<A, E> : undefined
