/**
 * Identities of publishers over any backend: a restarted publisher goes on where its committed records end, and the older
 * of two is fenced.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { Subscriber } from "../../../src/services/Subscriber.ts"
import { smallestLog } from "../../backends/geometry.ts"
import { type Backend, bytesOf, Relay, smallGeometry, textOf } from "../../backends/log.ts"
import { writeBatch } from "../../faults/manual.ts"

const Lines = Topic.make("lines")

/** What a source sends: its records are numbered, so that one that is lost or doubled shows. */
const sourceOf = (who: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${who} ${i}`)

/** Runs a publisher in a scope of its own, which ends without a flush. */
const session = <A, E>(
  identity: string,
  use: (publisher: PublisherHandle<Uint8Array>) => Effect.Effect<A, E>,
  options: { readonly skew?: string } = {}
) =>
  Effect.scoped(Effect.flatMap(
    Publisher.open(Lines, { identity, batchBytes: 64, ...options as { skew: "2 millis" } }),
    use
  ))

/** Sends what is not committed of the source, the next records at most. */
const sendNext = (publisher: PublisherHandle<Uint8Array>, source: ReadonlyArray<string>, most: number) =>
  Effect.gen(function*() {
    const from = publisher.committed
    for (const text of source.slice(from, from + most)) {
      yield* publisher.send(bytesOf(text))
      if (publisher.accepted() % 9 === 0) yield* Effect.sleep(1)
    }
  })

const read = (subscriber: { readonly records: Stream.Stream<any, any> }, count: number) =>
  subscriber.records.pipe(
    Stream.take(count),
    Stream.map(({ position, value }) => [position, textOf(value)] as const),
    Stream.runCollect
  )

/** One order without a gap, and in it each source's records, once each and in their order. */
const assertExactlyOnce = (
  found: ReadonlyArray<readonly [number, string]>,
  sources: ReadonlyArray<ReadonlyArray<string>>
) => {
  assert.deepStrictEqual(found.map(([position]) => position), found.map((_, i) => i))
  const texts = found.map(([, text]) => text)
  for (const source of sources) {
    const [who = ""] = (source[0] ?? "").split(" ")
    assert.deepStrictEqual(texts.filter((text) => text.startsWith(`${who} `)), source)
  }
}

const relayed = Effect.gen(function*() {
  const { end, start } = yield* Relay
  yield* end
  yield* start
})

export const identitiesSuite = (backend: Backend): void => {
  const embedded = (serve: Parameters<Backend["embedded"]>[0] = {}) =>
    Effect.provide(backend.embedded({ geometry: smallGeometry, ...serve }))

  describe(`identities of publishers (${backend.name})`, () => {
    it.live("a restarted publisher goes on where its committed records end", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        yield* session("a", (publisher) =>
          Effect.gen(function*() {
            assert.strictEqual(publisher.committed, 0)
            yield* publisher.sendAll(sourceOf("a", 10).map(bytesOf))
            yield* publisher.flush
          }))
        yield* session("b", (publisher) => Effect.sync(() => assert.strictEqual(publisher.committed, 0)))
        yield* session("a", (publisher) =>
          Effect.gen(function*() {
            assert.deepStrictEqual([publisher.committed, publisher.accepted(), publisher.acknowledged()], [10, 0, 0])
            yield* sendNext(publisher, sourceOf("a", 15), 5)
            yield* publisher.flush
            assert.deepStrictEqual([publisher.accepted(), publisher.acknowledged()], [5, 5])
          }))
        assertExactlyOnce(yield* read(subscriber, 15), [sourceOf("a", 15)])
        const { identities } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.deepStrictEqual(
          identities.map(({ committed, incarnation, name, topic }) => [name, topic, incarnation, committed]),
          [["a", "lines", 2, 15], ["b", "lines", 1, 0]]
        )
      }).pipe(Effect.scoped, embedded()))

    it.live("what a publisher has accepted when it closes is committed before the next one opens", () =>
      Effect.gen(function*() {
        for (let round = 0; round < 30; round += 1) {
          yield* session("a", (publisher) =>
            Effect.gen(function*() {
              assert.strictEqual(publisher.committed, round * 20)
              yield* publisher.sendAll(sourceOf("a", 20).map(bytesOf))
            }))
        }
      }).pipe(Effect.scoped, embedded()))

    it.live("a newer publisher fences the older, which fails with PublisherFenced and commits nothing more", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const older = yield* Publisher.open(Lines, { identity: "a" })
        yield* older.sendAll(sourceOf("a", 7).map(bytesOf))
        yield* older.flush
        const waiting = yield* Effect.forkChild(Effect.flip(older.awaitAcknowledged(8)), { startImmediately: true })
        const newer = yield* Publisher.open(Lines, { identity: "a" })
        assert.strictEqual(newer.committed, 7)
        const uses = [
          older.send(bytesOf("late")),
          Effect.andThen(older.send(bytesOf("late")), older.flush),
          Effect.asVoid(Effect.scoped(older.claim(8)))
        ]
        const errors = [
          yield* Fiber.join(waiting),
          ...yield* Effect.forEach(uses, (use) => Effect.flip<void, any, never>(use))
        ]
        for (const error of errors) {
          assert.isTrue(error._tag === "PublisherFenced" && error.identity === "a", error.message)
          if (error._tag === "PublisherFenced") assert.strictEqual(error.acknowledged, 7)
        }
        assert.match(
          errors[0]?.message ?? "",
          /^topic "lines": a newer publisher has the identity "a"; 7 records of this one are committed/
        )
        assert.isFalse(older.offer(bytesOf("late")))
        yield* sendNext(newer, sourceOf("a", 9), 9)
        yield* newer.flush
        assertExactlyOnce(yield* read(subscriber, 9), [sourceOf("a", 9)])
        const { sessions } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.deepStrictEqual(sessions.filter(({ quarantined }) => quarantined), [])
      }).pipe(Effect.scoped, embedded()))

    it.live("identities of other topics and other names are others; a publisher without one has none", () =>
      Effect.gen(function*() {
        const Other = Topic.make("other")
        const publishers = [
          yield* Publisher.open(Lines, { identity: "a" }),
          yield* Publisher.open(Other, { identity: "a" }),
          yield* Publisher.open(Lines, { identity: "b" }),
          yield* Publisher.open(Lines)
        ]
        for (const publisher of publishers) {
          yield* publisher.send(bytesOf("one"))
          yield* publisher.flush
        }
        const { identities } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.sameDeepMembers(
          identities.map(({ committed, name, sessionId, topic }) => [topic, name, committed, sessionId]),
          [
            ["lines", "a", 1, publishers[0]?.sessionId],
            ["other", "a", 1, publishers[1]?.sessionId],
            ["lines", "b", 1, publishers[2]?.sessionId]
          ]
        )
      }).pipe(Effect.scoped, embedded()))

    it.live("an impossible identity is refused, and so is one too many", () =>
      Effect.gen(function*() {
        for (const identity of ["", "a b", "x".repeat(65), "-"]) {
          const error = yield* Effect.flip(Publisher.open(Lines, { identity }))
          assert.isTrue(error._tag === "RegionError" && error.fault === "invalid", error.message)
          assert.include(error.message, "identity cannot be")
        }
        for (const order of ["total", "none"] as const) {
          const error = yield* Effect.flip(Publisher.open(Topic.make(order, { order }), { identity: "a" }))
          assert.isTrue(error._tag === "RegionError" && error.fault === "invalid", error.message)
          assert.include(error.message, `topic "${order}" has order "${order}"`)
        }
        for (let i = 0; i < 16; i += 1) yield* session(`i${i}`, () => Effect.void)
        const error = yield* Effect.flip(Publisher.open(Lines, { identity: "one-more" }))
        assert.isTrue(error._tag === "RegionError" && error.fault === "full", error.message)
        yield* session("i3", () => Effect.void)
        yield* Publisher.open(Lines)
      }).pipe(Effect.scoped, embedded()))

    it.live("an identity ends with its topic", () =>
      Effect.gen(function*() {
        yield* session("a", (publisher) => Effect.andThen(publisher.send(bytesOf("one")), publisher.flush))
        for (const name of ["t1", "t2", "t3", "t4"]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const publisher = yield* Publisher.open(Topic.make(name))
            yield* publisher.send(bytesOf("one"))
            yield* publisher.flush
          }))
        }
        yield* session("a", (publisher) => Effect.sync(() => assert.strictEqual(publisher.committed, 0)))
      }).pipe(Effect.scoped, embedded()))

    it.live("only the newest of the sessions that continue an incarnation has it", () =>
      backend.manual(smallGeometry, (log) =>
        Effect.gen(function*() {
          const settled = Effect.gen(function*() {
            while (yield* log.step) continue
          })
          const first = yield* log.open(Lines, { identity: "a" })
          assert.deepStrictEqual(first.port.identity, { name: "a", incarnation: 1, base: 0 })
          writeBatch(first.port, 0, { sequence: 0, firstMessage: 0, lengths: [3, 5] })
          first.port.publish(0)
          yield* settled
          yield* first.close
          yield* settled
          const second = yield* log.open(Lines, { identity: "a", continues: 1 })
          assert.deepStrictEqual(second.port.identity, { name: "a", incarnation: 2, base: 2 })
          const refused = yield* Effect.flip(log.open(Lines, { identity: "a", continues: 1 }))
          assert.strictEqual(refused._tag, "PublisherFenced")
          yield* settled
          assert.strictEqual(second.port.ended(), undefined)
          const third = yield* log.open(Lines, { identity: "a" })
          assert.strictEqual(second.port.ended(), "fenced")
          assert.strictEqual(third.port.identity?.base, 2)
        })))

    it.live("a batch that was published by a former session commits neither in it nor in the next", () =>
      backend.manual(smallestLog, (log) =>
        Effect.gen(function*() {
          const { port: reader } = yield* log.attach(Lines, "start")
          const former = yield* log.open(Lines, { identity: "a" })
          // 1 waits for 0, which is published behind the end.
          for (const [broker, sequence] of [[0, 1], [1, 0]] as const) {
            writeBatch(former.port, broker, { sequence, firstMessage: 2 * sequence, lengths: [4, 4] })
          }
          former.port.publish(0)
          while (yield* log.step) continue
          yield* former.close
          while (yield* log.step) continue
          former.port.publish(1)
          const next = yield* log.open(Lines, { identity: "a" })
          assert.strictEqual(next.port.identity?.base, 0)
          writeBatch(next.port, 0, { sequence: 0, firstMessage: 0, lengths: [7] })
          next.port.publish(0)
          while (yield* log.step) continue
          assert.deepStrictEqual(reader.poll(8).map(({ messageCount, sessionId }) => [sessionId, messageCount]), [[
            next.port.sessionId,
            1
          ]])
        })))

    it.live("the event of a session tells its identity and incarnation, and that it was fenced", () =>
      Effect.gen(function*() {
        const { events } = yield* Sequencer
        const seen = yield* Effect.forkChild(
          events.pipe(
            Stream.filter((event) => event._tag === "SessionOpened" || event._tag === "SessionEnded"),
            Stream.take(3),
            Stream.runCollect
          ),
          { startImmediately: true }
        )
        yield* Effect.sleep(50)
        yield* Publisher.open(Lines, { identity: "a" })
        yield* Effect.sleep(250)
        yield* Publisher.open(Lines, { identity: "a" })
        const found = yield* Fiber.join(seen)
        assert.includeDeepMembers(
          found.map((event) =>
            event._tag === "SessionOpened"
              ? [event.identity, event.incarnation]
              : [event._tag === "SessionEnded" && event.reason]
          ),
          [
            ["a", 1],
            ["fenced"],
            ["a", 2]
          ]
        )
      }).pipe(Effect.scoped, embedded()))

    for (const what of ["publishers", "servers", "publishers and servers"] as const) {
      it.live(
        `every record once while ${what} are restarted`,
        () =>
          Effect.gen(function*() {
            const count = 300
            const who = ["a", "b", "c"]
            const subscriber = yield* Subscriber.open(Lines)
            const reading = yield* Effect.forkChild(read(subscriber, count * who.length), { startImmediately: true })
            // Each session ends after a part, without a flush; the last one ends when all is committed.
            const part = what === "servers" ? count : 41
            const publishing = yield* Effect.forkChild(
              Effect.forEach(who, (name) => {
                const run: Effect.Effect<void, any, Publisher> = Effect.flatMap(
                  session(name, (publisher) =>
                    Effect.as(sendNext(publisher, sourceOf(name, count), part), publisher.committed), {
                    skew: "2 millis"
                  }),
                  (from) =>
                    from === count ? Effect.void : run
                )
                return run
              }, { concurrency: "unbounded", discard: true }),
              { startImmediately: true }
            )
            const relays = what === "publishers" ? 0 : 6
            for (let round = 0; round < relays; round += 1) {
              yield* Effect.sleep(20)
              yield* relayed
            }
            yield* Fiber.join(publishing)
            assertExactlyOnce(
              yield* Fiber.join(reading),
              who.map((name) =>
                sourceOf(name, count)
              )
            )
          }).pipe(Effect.scoped, Effect.provide(backend.relay({ geometry: smallGeometry }))),
        30_000
      )
    }

    it.live("an identity and its count outlive the server", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Effect.scope)
        const older = yield* Publisher.open(Lines, { identity: "a" }).pipe(Scope.provide(scope))
        yield* older.sendAll(sourceOf("a", 11).map(bytesOf))
        yield* older.flush
        yield* relayed
        assert.strictEqual(yield* session("a", ({ committed }) => Effect.succeed(committed)), 11)
        yield* relayed
        assert.strictEqual((yield* Effect.flip(older.send(bytesOf("late"))))._tag, "PublisherFenced")
        yield* Scope.close(scope, Exit.void)
        yield* relayed
        assert.strictEqual(yield* session("a", ({ committed }) => Effect.succeed(committed)), 11)
        const { identities } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.deepInclude(identities[0], { name: "a", incarnation: 3, committed: 11 })
      }).pipe(Effect.scoped, Effect.provide(backend.relay({ geometry: smallGeometry }))))
  })
}
