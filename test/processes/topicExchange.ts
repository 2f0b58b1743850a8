/**
 * One use of a topic by a process that opens both of its ends, and closes them when all its records have arrived.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"

/** A record of another topic arrived, or not the expected one. */
export class Astray extends Schema.TaggedError<Astray>()("Astray", { topic: Schema.String, record: Schema.String }) {
  override get message(): string {
    return `topic "${this.topic}" gave out ${this.record}`
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Fails when a record is lost, arrives twice or out of order, or belongs to another topic. */
export const exchange = (name: string, records: number) =>
  Effect.scoped(Effect.gen(function*() {
    const topic = Topic.make(name)
    const subscriber = yield* Subscriber.open(topic)
    const publisher = yield* Publisher.open(topic)
    const sent = Array.from({ length: records }, (_, i) => encoder.encode(`${name} ${publisher.sessionId} ${i}`))
    yield* Effect.forkChild(publisher.sendAll(sent))
    const next = new Map<number, number>()
    let position: number | undefined
    yield* subscriber.records.pipe(
      Stream.mapEffect((record) => {
        const text = decoder.decode(record.value)
        const at = next.get(record.sessionId) ?? record.sequence
        const isNext = text === `${name} ${record.sessionId} ${at}` && record.position === (position ?? record.position)
        next.set(record.sessionId, at + 1)
        position = record.position + 1
        return isNext ? Effect.succeed(record) : Effect.fail(new Astray({ topic: name, record: text }))
      }),
      Stream.takeUntil((record) => record.sessionId === publisher.sessionId && record.sequence === records - 1),
      Stream.runDrain
    )
  }))
