/**
 * Which members a message reaches, in which order, and the treatment of messages that no handler can use.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import { type EventType, Messenger, type Reach } from "../../../src/services/Messenger.ts"
import {
  at,
  enterAll,
  eventually,
  failedWith,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"

const Text = Messenger.event("text", Schema.String)
const Count = Messenger.event("count", Schema.Int)

/** Collects the messages that arrive until the test ends. */
export const collect = Effect.fnUntraced(function*<A>(member: TestMember, type: EventType<A>) {
  const values: Array<A> = []
  yield* member.messenger.subscribe(type, (value) => {
    values.push(value)
    return Effect.void
  })
  return values
})

const reaches: ReadonlyArray<"local" | "remote" | "world"> = ["local", "remote", "world"]
const byReach = reaches.map((reach) => ({ reach, type: Messenger.event(`to ${reach}`, Schema.Int) }))

export const messengerDeliverySuite = (backend: SwarmBackend): void => {
  describe(`messages (${backend.name})`, () => {
    swarmTest(
      backend,
      "S01 basic_pub_sub: each receiver gets exactly its own type, in order",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const [sender, strings, ints] = [at(members, 0), at(members, 1), at(members, 2)]
          const texts = yield* collect(strings, Text)
          const counts = yield* collect(ints, Count)
          yield* enterAll(members, "subscribed")
          for (let round = 0; round < 5; round += 1) {
            for (let n = 1; n <= 4; n += 1) {
              yield* sender.messenger.send(Text, `${round}-${n}`)
              yield* sender.messenger.send(Count, n)
            }
          }
          yield* enterAll(members, "done", { mode: "processingFence" })
          const fives = Array.from({ length: 5 }, (_, round) => round)
          assert.deepStrictEqual(texts, fives.flatMap((round) => [1, 2, 3, 4].map((n) => `${round}-${n}`)))
          assert.deepStrictEqual(counts, fives.flatMap(() => [1, 2, 3, 4]))
          assert.strictEqual(strings.messenger.counts().delivered, 20)
          assert.strictEqual(strings.messenger.counts().unclaimed, 20)
        })
    )

    swarmTest(
      backend,
      "a value that its schema cannot encode is a typed error, and its sender goes on",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const counts = yield* collect(at(members, 1), Count)
          yield* enterAll(members, "subscribed")
          const { messenger } = at(members, 0)
          const error = yield* Effect.flip(messenger.send(Count, 0.5))
          assert.isTrue(error._tag === "ValueInvalid" && error.of === "message" && error.subject === "count")
          yield* messenger.send(Count, 1)
          yield* enterAll(members, "done", { mode: "processingFence" })
          assert.deepStrictEqual(counts, [1])
        })
    )

    const senders = [
      ["S02 locality: local, remote and world from the coordinator", 0],
      ["S02 B6 locality: local, remote and world from a worker", 1]
    ] as const
    for (const [promise, index] of senders) {
      swarmTest(backend, promise, (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const counted = yield* Effect.forEach(
            members,
            (member) => Effect.forEach(byReach, ({ type }) => collect(member, type))
          )
          for (const { reach, type } of byReach) {
            for (let n = 0; n < 5; n += 1) yield* at(members, index).messenger.send(type, n, reach)
          }
          yield* enterAll(members, "sent", { mode: "processingFence" })
          const lengths = counted.map((types) => types.map(({ length }) => length))
          assert.deepStrictEqual(at(lengths, index), [5, 0, 5])
          assert.deepStrictEqual(at(lengths, 1 - index), [0, 5, 5])
        }))
    }

    swarmTest(
      backend,
      "a message to one member, by identity or by name, reaches no other",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const got = yield* Effect.forEach(members, (member) => collect(member, Text))
          yield* at(members, 2).coordinator.publish("printer")
          yield* at(members, 0).coordinator.waitFor("printer")
          yield* at(members, 0).messenger.send(Text, "by id", { member: at(members, 1).id })
          yield* at(members, 0).messenger.send(Text, "by name", { name: "printer" })
          yield* enterAll(members, "sent")
          assert.deepStrictEqual(got, [[], ["by id"], ["by name"]])
        })
    )

    swarmTest(
      backend,
      "a message to a member that is gone, or to an unknown name, is a typed error",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const gone = at(members, 1).id
          yield* at(members, 1).close
          const { coordinator, messenger } = at(members, 0)
          yield* coordinator.awaitMembers(({ length }) => length === 1)
          const errors = yield* Effect.forEach(
            [{ member: gone }, { name: "absent" }] satisfies ReadonlyArray<Reach>,
            (to) => Effect.flip(messenger.send(Text, "hello?", to))
          )
          assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["MemberGone", "MemberGone"])
          assert.deepStrictEqual(errors.map(({ message }) => message), [
            `member "m1" (${gone.slot}.${gone.generation}, pid ${process.pid}) is gone`,
            `no member has published the name "absent"`
          ])
        })
    )

    swarmTest(
      backend,
      "S03 receive: the first of the sender that was asked for, and never another's",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const [a, b, receiver] = [at(members, 0), at(members, 1), at(members, 2)]
          const first = yield* fork(
            receiver.messenger.receive(Count, { from: { member: a.id }, deadline: "5 seconds" })
          )
          yield* b.messenger.send(Count, 1)
          yield* enterAll(members, "of b")
          yield* a.messenger.send(Count, 57)
          yield* a.messenger.send(Count, 58)
          const { origin, value } = yield* joined(backend, first)
          assert.strictEqual(value, 57)
          assert.deepStrictEqual(origin.sender, a.id)
          const rest = yield* collect(receiver, Count)
          yield* a.messenger.send(Count, 59)
          yield* b.messenger.send(Count, 2)
          yield* enterAll(members, "all")
          assert.sameMembers(rest.filter((value) => value !== 58), [59, 2])
        })
    )

    swarmTest(backend, "receive ends at its deadline with a typed error", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 1)
        const waiting = yield* fork(at(members, 0).messenger.receive(Count, { deadline: 40 }))
        yield* staysWaiting(backend, waiting, 20)
        const error = yield* failedWith(backend, waiting)
        assert.deepInclude(error, { _tag: "ReceiveTimedOut", event: "count", deadlineMillis: 40 })
        assert.strictEqual(error.message, "no message \"count\" arrived within 40.0 ms")
      }))

    swarmTest(
      backend,
      "messages that do not decode, or have no subscriber, are counted and do no harm",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const counts = yield* collect(at(members, 1), Count)
          const asText: EventType<string> = { ...Text, name: Count.name, code: Count.code }
          for (const text of ["not a number at all", "", "\u{1F600}".repeat(500)]) {
            yield* at(members, 0).messenger.send(asText, text)
          }
          yield* at(members, 0).messenger.send(Text, "no handler for this")
          yield* at(members, 0).messenger.send(Count, 5)
          yield* enterAll(members, "sent", { mode: "processingFence" })
          assert.include(counts, 5)
          const { delivered, rejected, unclaimed } = at(members, 1).messenger.counts()
          assert.strictEqual(rejected + delivered, 4)
          assert.isAtLeast(rejected, 2)
          assert.strictEqual(unclaimed, 1)
        })
    )

    swarmTest(
      backend,
      "two kinds of message that cannot be told apart are an EventClash, until one is given up",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 1)
          const { messenger } = at(members, 0)
          const other: EventType<string> = { ...Text, name: "other", code: Count.code }
          const clash = Effect.scoped(Effect.gen(function*() {
            yield* messenger.subscribe(Count, () => Effect.void)
            return yield* Effect.flip(messenger.subscribe(other, () => Effect.void))
          }))
          const error = yield* clash
          assert.deepStrictEqual([error._tag, error.event, error.other], ["EventClash", "other", "count"])
          yield* messenger.subscribe(other, () => Effect.void)
        })
    )

    swarmTest(
      backend,
      "B5 a burst of 3 MB at a slow handler: the sender waits, nothing is lost, order holds",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [sender, receiver] = [at(members, 0), at(members, 1)]
          const seen: Array<number> = []
          const Block = Messenger.event("block", Schema.Struct({ n: Schema.Int, bytes: Schema.Uint8Array }))
          yield* receiver.messenger.subscribe(Block, ({ bytes, n }) => {
            seen.push(bytes.every((byte) => byte === (n & 0xff)) ? n : -1)
            return n % 50 === 0 ? Effect.sleep(20) : Effect.void
          })
          const blocks = 800
          const burst = yield* fork(Effect.gen(function*() {
            for (let n = 0; n < blocks; n += 1) {
              yield* sender.messenger.send(Block, { n, bytes: new Uint8Array(4000).fill(n & 0xff) })
            }
          }))
          yield* staysWaiting(backend, burst, 5)
          yield* joined(backend, burst)
          const fence = yield* fork(enterAll(members, "burst", { mode: "processingFence" }))
          yield* joined(backend, fence)
          assert.deepStrictEqual(seen, Array.from({ length: blocks }, (_, n) => n))
        }),
      { ringBytes: 64 * 1024 }
    )

    swarmTest(
      backend,
      "a sender without room is told whom it waits for, and what was refused never arrives",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2, () => ({ roomDeadline: 100 }))
          const [sender, receiver] = [at(members, 0), at(members, 1)]
          const gate = yield* Latch.make(false)
          const got: Array<string> = []
          yield* receiver.messenger.subscribe(Text, (text) => {
            got.push(text)
            return gate.await
          })
          const sent: Array<string> = []
          const filling = yield* fork(Effect.gen(function*() {
            for (let n = 0; n < 1000; n += 1) {
              const text = `${n} ${"x".repeat(1000)}`
              yield* sender.messenger.send(Text, text)
              sent.push(text)
            }
          }))
          const error = yield* failedWith(backend, filling)
          if (error._tag !== "RingFull") return assert.fail(error._tag)
          assert.strictEqual(error.reader, receiver.name)
          assert.strictEqual(error.process, receiver.id.slot)
          yield* gate.open
          yield* eventually(backend, () => got.length === sent.length)
          yield* joined(backend, yield* fork(enterAll(members, "through", { mode: "processingFence" })))
          assert.deepStrictEqual(got, sent)
        })
    )

    swarmTest(
      backend,
      "messages above one frame come whole and in order, from several fibers at once",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const texts = yield* collect(at(members, 1), Text)
          const long = (n: number) => `${n}`.repeat(20_000)
          const sending = yield* fork(
            Effect.forEach(
              [1, 2, 3, 4, 5],
              (n) => at(members, 0).messenger.send(Text, n % 2 === 0 ? `${n}` : long(n)),
              {
                concurrency: "unbounded"
              }
            )
          )
          yield* joined(backend, sending)
          yield* joined(backend, yield* fork(enterAll(members, "sent")))
          assert.sameMembers([...texts], [long(1), "2", long(3), "4", long(5)])
        })
    )
  })
}
