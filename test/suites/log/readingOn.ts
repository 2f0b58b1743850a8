/**
 * One handle has one cursor: every way to read continues at the first undelivered record, over any backend.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { type OnInvalid, Subscriber, type SubscriberHandle } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"

const Lines = Topic.make("lines")
const Numbers = Topic.make("lines", { schema: Schema.Struct({ n: Schema.Int }) })

/** Sends all records in one batch, unless a batch is full. */
const sendTogether = (publisher: PublisherHandle<Uint8Array>, texts: ReadonlyArray<string>) =>
  Effect.andThen(publisher.sendAll(texts.map(bytesOf)), publisher.flush)

/** Sends one record per batch. */
const sendApart = (publisher: PublisherHandle<Uint8Array>, texts: ReadonlyArray<string>) =>
  Effect.andThen(
    Effect.forEach(texts, (text) => Effect.andThen(publisher.send(bytesOf(text)), Effect.sync(() => publisher.seal()))),
    publisher.flush
  )

const take = (subscriber: SubscriberHandle<Uint8Array>, count: number) =>
  subscriber.records.pipe(
    Stream.take(count),
    Stream.runCollect,
    Effect.map((records) => records.map(({ value }) => textOf(value)))
  )

const numberBytes = (n: number): Uint8Array => {
  const encoded = Numbers.codec?.encode({ n })
  return encoded instanceof Uint8Array ? encoded : garbage
}

const garbage = bytesOf("garbage, of no number")

/** One batch with a good record, garbage, and two good records; and a subscriber that expects numbers. */
const withGarbage = Effect.fnUntraced(function*(options?: { readonly onInvalid?: OnInvalid }) {
  const publisher = yield* Publisher.open(Lines)
  yield* publisher.sendAll([numberBytes(0), garbage, numberBytes(2), numberBytes(3)])
  yield* publisher.flush
  return yield* Subscriber.open(Numbers, { from: "start", untilEnd: true, ...options })
})

export const readingOnSuite = (backend: Backend): void => {
  const provide = (options?: BackendOptions) =>
    Effect.provide(backend.embedded({ geometry: smallGeometry, ...options }))

  describe(`reading on (${backend.name})`, () => {
    it.live("E18 goes on at the first record that was not delivered, in the middle of a batch", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        yield* sendTogether(publisher, ["a", "b", "c"])
        for (const [i, text] of ["a", "b", "c"].entries()) {
          assert.strictEqual(subscriber.position(), i)
          assert.deepStrictEqual(yield* take(subscriber, 1), [text])
          assert.strictEqual(subscriber.position(), i + 1)
        }
        assert.deepStrictEqual(yield* take(subscriber, 1), [])
      }).pipe(Effect.scoped, provide()))

    it.live("goes on behind the record at which a handler failed", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        yield* sendTogether(publisher, ["a", "b", "c"])
        const failing = Stream.runForEach(
          subscriber.records,
          ({ value }) => textOf(value) === "b" ? Effect.fail("b") : Effect.void
        )
        assert.strictEqual(yield* Effect.flip(failing), "b")
        assert.strictEqual(subscriber.position(), 2)
        assert.deepStrictEqual(yield* take(subscriber, 9), ["c"])
      }).pipe(Effect.scoped, provide()))

    it.live("gives batches one at a time: the next run begins with the first that was not given", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        yield* sendApart(publisher, ["a", "b", "c"])
        for (const [i, text] of ["a", "b", "c"].entries()) {
          const [batch] = yield* subscriber.batches.pipe(Stream.take(1), Stream.runCollect)
          assert.strictEqual(textOf(batch?.payload ?? garbage), text)
          assert.strictEqual(subscriber.position(), i + 1)
        }
      }).pipe(Effect.scoped, provide()))

    for (const lengths of ["equal", "different"]) {
      it.live(`lends what is left of a batch of which records were taken, lengths ${lengths}`, () =>
        Effect.gen(function*() {
          const texts = lengths === "equal" ? ["aa", "bb", "cc", "dd"] : ["a", "bbb", "", "dd"]
          const publisher = yield* Publisher.open(Lines)
          const subscriber = yield* Subscriber.open(Lines, { from: "start" })
          yield* sendTogether(publisher, texts)
          yield* take(subscriber, 1)
          const [rest] = yield* subscriber.pull
          assert.strictEqual(rest?.position, 1)
          assert.strictEqual(rest?.firstMessage, 1)
          assert.strictEqual(rest?.messageCount, 3)
          assert.strictEqual(textOf(rest?.payload ?? garbage), texts.slice(1).join(""))
          const expected = lengths === "equal" ? undefined : texts.slice(1).map(({ length }) => length)
          assert.deepStrictEqual(rest?.lengths === undefined ? undefined : [...rest.lengths], expected)
          assert.strictEqual(subscriber.position(), 4)
          assert.deepStrictEqual(subscriber.poll(), [])
        }).pipe(Effect.scoped, provide()))
    }

    it.live("lends nothing that comes before the position asked for", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* sendTogether(publisher, ["a", "b", "c"])
        const subscriber = yield* Subscriber.open(Lines, { from: { position: 1 } })
        const [rest] = yield* subscriber.pull
        assert.deepStrictEqual([rest?.position, textOf(rest?.payload ?? garbage)], [1, "bc"])
      }).pipe(Effect.scoped, provide()))

    it.live("knows its position before anything was read", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        yield* sendApart(publisher, Array.from({ length: 500 }, (_, i) => `${i}`))
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        const position = subscriber.position()
        assert.isAbove(position, 0)
        assert.deepStrictEqual(yield* take(subscriber, 1), [`${position}`])
      }).pipe(Effect.scoped, provide()))

    it.live("loses nothing to a pull that was interrupted", () =>
      Effect.gen(function*() {
        const total = 500
        const publisher = yield* Publisher.open(Lines)
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        const sending = yield* Effect.forkChild(Effect.forEach(
          Array.from({ length: total }, (_, i) => `${i}`),
          (text, i) => Effect.andThen(sendApart(publisher, [text]), i % 3 === 0 ? Effect.sleep(1) : Effect.yieldNow)
        ))
        const seen: Array<string> = []
        while (seen.length < total) {
          const pulled = yield* Effect.timeoutOption(subscriber.pull, seen.length % 3)
          const batches = Option.getOrElse(pulled, () => [])
          seen.push(...batches.map(({ payload }) => textOf(payload)))
        }
        yield* Fiber.join(sending)
        assert.deepStrictEqual(seen, Array.from({ length: total }, (_, i) => `${i}`))
      }).pipe(Effect.scoped, provide()))

    it.live("gives records by the batch: the rest of a begun batch, and whole batches", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        yield* sendTogether(publisher, ["a", "b", "c"])
        yield* sendTogether(publisher, ["d", "e"])
        yield* take(subscriber, 1)
        const batches = yield* Stream.runCollect(subscriber.recordBatches)
        assert.deepStrictEqual(
          batches.map((records) => records.map(({ position, value }) => [position, textOf(value)])),
          [[[1, "b"], [2, "c"]], [[3, "d"], [4, "e"]]]
        )
      }).pipe(Effect.scoped, provide()))

    it.live("keeps copies whole when the room of their batch is used again", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Lines)
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        yield* sendTogether(publisher, ["a", "b", "c"])
        const kept = yield* subscriber.records.pipe(Stream.take(3), Stream.runCollect)
        for (let i = 0; i < 100; i += 1) {
          yield* sendTogether(publisher, ["x".repeat(4000)])
          yield* take(subscriber, 1)
        }
        assert.deepStrictEqual(kept.map(({ value }) => textOf(value)), ["a", "b", "c"])
      }).pipe(Effect.scoped, provide()))

    it.live("keeps the room of what it has taken from the log and not delivered", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start", untilEnd: true })
        const publisher = yield* Publisher.open(Lines, { roomDeadline: "50 millis" })
        yield* sendApart(publisher, ["a", "b", "c"])
        yield* take(subscriber, 1)
        yield* Effect.flip(Effect.forever(sendApart(publisher, ["x".repeat(4000)])))
        const [b, c] = yield* subscriber.pull
        assert.deepStrictEqual([textOf(b?.payload ?? garbage), textOf(c?.payload ?? garbage)], ["b", "c"])
      }).pipe(Effect.scoped, provide()))

    it.live("gives the room of what it has delivered back without being asked for more", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines, { from: "start" })
        const publisher = yield* Publisher.open(Lines, { roomDeadline: "5 seconds" })
        for (let i = 0; i < 200; i += 1) {
          yield* sendTogether(publisher, ["x".repeat(4000)])
          yield* take(subscriber, 1)
        }
      }).pipe(Effect.scoped, provide()))
  })

  describe(`records that do not match (${backend.name})`, () => {
    it.live("end the run behind everything ahead of them, and are met again by the next", () =>
      Effect.gen(function*() {
        const subscriber = yield* withGarbage()
        const seen: Array<number> = []
        const run = Stream.runForEach(subscriber.records, ({ value }) => Effect.sync(() => seen.push(value.n)))
        for (let i = 0; i < 2; i += 1) {
          const error = yield* Effect.flip(run)
          assert.isTrue(error._tag === "RecordInvalid" && error.position === 1)
          assert.strictEqual(subscriber.position(), 1)
          assert.deepStrictEqual(seen, [0])
        }
      }).pipe(Effect.scoped, provide()))

    it.live("end a run by the batch behind everything ahead of them, too", () =>
      Effect.gen(function*() {
        const subscriber = yield* withGarbage()
        const seen: Array<ReadonlyArray<number>> = []
        const run = Stream.runForEach(
          subscriber.recordBatches,
          (records) => Effect.sync(() => seen.push(records.map(({ value }) => value.n)))
        )
        const error = yield* Effect.flip(run)
        assert.isTrue(error._tag === "RecordInvalid" && error.position === 1)
        assert.isTrue(subscriber.skip())
        yield* run
        assert.deepStrictEqual(seen, [[0], [2, 3]])
      }).pipe(Effect.scoped, provide()))

    it.live("are passed over one by one with skip, which says when there is nothing to pass over", () =>
      Effect.gen(function*() {
        const subscriber = yield* withGarbage()
        yield* Effect.flip(Stream.runDrain(subscriber.records))
        assert.isTrue(subscriber.skip())
        assert.strictEqual(subscriber.position(), 2)
        const rest = yield* Stream.runCollect(subscriber.records)
        assert.deepStrictEqual(rest.map(({ value }) => value.n), [2, 3])
        assert.isFalse(subscriber.skip())
        assert.strictEqual(subscriber.position(), 4)
      }).pipe(Effect.scoped, provide()))

    it.live("are passed over when told so, and a warning names their position", () =>
      Effect.gen(function*() {
        const warnings: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => {
          if (logLevel === "Warn") warnings.push(String(message))
        })
        const subscriber = yield* withGarbage({ onInvalid: "skip" })
        const seen = yield* Effect.provide(Stream.runCollect(subscriber.records), Logger.layer([logger]))
        assert.deepStrictEqual(seen.map(({ position, value }) => [position, value.n]), [[0, 0], [2, 2], [3, 3]])
        assert.strictEqual(warnings.length, 1)
        assert.include(warnings[0], "the record at 1 ")
      }).pipe(Effect.scoped, provide()))

    it.live("are given to a handler with their bytes and position, which may pass them over or end the run", () =>
      Effect.gen(function*() {
        const met: Array<readonly [number, string]> = []
        let isFatal = true
        const onInvalid: OnInvalid = (record, error) => {
          met.push([record.position, textOf(record.value)])
          assert.strictEqual(error.position, record.position)
          return isFatal ? Effect.fail(error) : Effect.void
        }
        const subscriber = yield* withGarbage({ onInvalid })
        const error = yield* Effect.flip(Stream.runDrain(subscriber.records))
        assert.strictEqual(error._tag, "RecordInvalid")
        assert.strictEqual(subscriber.position(), 1)
        isFatal = false
        const rest = yield* Stream.runCollect(subscriber.records)
        assert.deepStrictEqual(rest.map(({ value }) => value.n), [2, 3])
        assert.deepStrictEqual(met, [[1, textOf(garbage)], [1, textOf(garbage)]])
      }).pipe(Effect.scoped, provide()))

    it.live("are met again when their handler was interrupted", () =>
      Effect.gen(function*() {
        const subscriber = yield* withGarbage({ onInvalid: () => Effect.never })
        const seen: Array<number> = []
        const run = Stream.runForEach(subscriber.records, ({ value }) => Effect.sync(() => seen.push(value.n)))
        assert.isTrue(Option.isNone(yield* Effect.timeoutOption(run, "20 millis")))
        assert.deepStrictEqual(seen, [0])
        assert.strictEqual(subscriber.position(), 1)
      }).pipe(Effect.scoped, provide()))

    it.live("do not hold up readers of bytes: batches are lent as they are", () =>
      Effect.gen(function*() {
        const subscriber = yield* withGarbage()
        yield* Effect.flip(Stream.runDrain(subscriber.records))
        const [rest] = yield* subscriber.pull
        assert.deepStrictEqual([rest?.position, rest?.messageCount], [1, 3])
        assert.strictEqual(subscriber.position(), 4)
      }).pipe(Effect.scoped, provide()))
  })
}
