/**
 * Fences over a damaged ring are refused. Retries are slowed down, and the step that the error names helps.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { RingPorts } from "../../../src/layers/ports/RingPorts.ts"
import { ringNames } from "../../../src/layers/swarm/transport/FrameAddress.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import { CoordinatorLost, showMember } from "../../../src/services/schema/Member.ts"
import {
  enterAll,
  eventually,
  fork,
  joinAs,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { type Hold, holding } from "../../faults/held.ts"
import { soon, timed } from "./times.ts"

const Tick = Messenger.event("tick", Schema.Int)
const Large = Messenger.event("large", Schema.String)

/** Bits whose change invalidates any frame's header. */
const bits = Uint8Array.of(0, 0, 0, 0, 1)

const isEvents = (ring: string): boolean => ring.startsWith("events/")
const isCoordinator = (ring: string): boolean => ring === ringNames.coordinator

/** Counts how often the coordinator's ring is read anew. */
const counting = (count: { anew: number }) => (ring: RingPorts["Service"]): RingPorts["Service"] => ({
  ...ring,
  openReader: (name, readerName) => {
    if (isCoordinator(name)) count.anew += 1
    return ring.openReader(name, readerName)
  }
})

/** Enters again and again, like a program that retries every failure. */
const persistently = (member: TestMember, count: { refusals: number; said: string }) =>
  Effect.forever(Effect.catchTag(
    member.barrier.enter("b"),
    "RangeLost",
    ({ message }) =>
      Effect.sync(() => {
        count.refusals += 1
        count.said = message
      })
  ))

export const swarmRefusalsSuite = (backend: SwarmBackend): void => {
  describe(`what a damaged ring refuses (${backend.name})`, () => {
    swarmTest(
      backend,
      "members that enter again at once are refused a few times in three seconds, not thousands",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const over = holding(isEvents, hold)
          const process = yield* swarm.attach("m0")
          const first = yield* joinAs(process, "m0", { coordinate: true, over })
          const second = yield* swarm.join("m1", { over })
          yield* first.coordinator.awaitMembers(({ length }) => length === 2)
          const damage = Effect.gen(function*() {
            hold.held = true
            const { position } = first.swarmMember.mesh.target()
            yield* first.messenger.send(Tick, 1)
            yield* process.flip(ringNames.events(first.id.slot), position, bits)
            hold.held = false
          })
          yield* damage
          const counts = [{ refusals: 0, said: "" }, { refusals: 0, said: "" }] as const
          const trying = [yield* fork(persistently(first, counts[0])), yield* fork(persistently(second, counts[1]))]
          yield* eventually(backend, () => counts.every(({ refusals }) => refusals > 0), "no member was refused")
          for (let i = 0; i < 30; i += 1) yield* backend.elapse(100)
          for (const fiber of trying) yield* Fiber.interrupt(fiber)
          for (const { refusals, said } of counts) {
            assert.isAtMost(refusals, 15)
            assert.match(said, /let a standby take over, or restart the swarm: a new reader begins after the loss/)
          }
        })
    )

    swarmTest(
      backend,
      "a member that joins again, as the error says, meets the others: its readers begin behind the damage",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const process = yield* swarm.attach("m0")
          const first = yield* joinAs(process, "m0", { coordinate: true })
          const second = yield* swarm.join("m1", { over: holding(isEvents, hold) })
          yield* first.coordinator.awaitMembers(({ length }) => length === 2)
          hold.held = true
          const { position } = first.swarmMember.mesh.target()
          yield* first.messenger.send(Tick, 1, "world")
          yield* eventually(backend, () => first.swarmMember.mesh.target().position > position)
          yield* enterAll([first], "read here", { mode: "processingFence", deadline: 50 }).pipe(Effect.exit, fork)
          yield* backend.elapse(100)
          yield* process.flip(ringNames.events(first.id.slot), position, bits)
          hold.held = false
          yield* fork(Effect.exit(first.barrier.enter("b", { deadline: 300 })))
          const error = yield* joined(backend, yield* fork(Effect.flip(second.barrier.enter("b"))))
          assert.strictEqual(error._tag, "RangeLost")
          assert.include(error.message, "end this member and join again: a new reader begins after the loss")
          yield* second.close
          const again = yield* joined(backend, yield* fork(swarm.join("m1 again")))
          const results = yield* joined(backend, yield* fork(enterAll([first, again], "c")))
          assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
        })
    )

    swarmTest(
      backend,
      "a member whose control ring is damaged at the coordinator is told at once that it was not heard, and is heard again",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const isControl = (ring: string): boolean => ring === ringNames.control(second.id.slot)
          const process = yield* swarm.attach("m0")
          const first = yield* joinAs(process, "m0", {
            coordinate: true,
            over: holding((ring) => ring.startsWith("control/"), hold)
          })
          const second = yield* swarm.join("m1")
          yield* first.coordinator.awaitMembers(({ length }) => length === 2)
          for (let i = 0; i < 3; i += 1) {
            hold.held = true
            const position = Effect.map(
              first.ring.rings,
              (rings) => rings.find(({ name }) => isControl(name))?.position
            )
            const before = yield* position
            const asking = yield* fork(Effect.flip(second.coordinator.joinGroup("asked")))
            const entering = yield* fork(Effect.flip(second.barrier.enter("b")))
            yield* staysWaiting(backend, asking)
            yield* process.flip(ringNames.control(second.id.slot), before ?? 0, bits)
            hold.held = false
            yield* fork(Effect.exit(first.barrier.enter("unheard", { deadline: 50 })))
            for (const fiber of [asking, entering]) {
              const { millis, value } = yield* timed<unknown, unknown>(backend, fiber)
              assert.isTrue(value instanceof CoordinatorLost && value.reason === "silent", `${value}`)
              assert.isAtMost(millis, soon(backend, 200), "long before any deadline")
            }
            yield* second.coordinator.joinGroup(`asked again ${i}`)
            const results = yield* joined(backend, yield* fork(enterAll([first, second], "b")))
            assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
          }
        })
    )

    for (const isWaiting of [false, true]) {
      const when = isWaiting ? "while the fence waits for its handlers" : "before the fence"
      swarmTest(
        backend,
        `a processing fence fails at once for all when one of them lost part of a ring ${when}, and names it`,
        (swarm) =>
          Effect.gen(function*() {
            const hold: Hold = { held: false }
            const process = yield* swarm.attach("m0")
            const first = yield* joinAs(process, "m0", { coordinate: true })
            const second = yield* swarm.join("m1", { over: holding(isEvents, hold) })
            const third = yield* swarm.join("m2")
            yield* first.coordinator.awaitMembers(({ length }) => length === 3)
            hold.held = true
            const { position, ring } = first.swarmMember.mesh.target()
            yield* first.messenger.send(Tick, 1)
            const isRead = ({ swarmMember }: TestMember) =>
              (swarmMember.mesh.source(ring)?.position("handled") ?? 0) > position
            yield* eventually(backend, () => isRead(first) && isRead(third), "the others never read it")
            yield* process.flip(ringNames.events(first.id.slot), position, bits)
            const members = [first, second, third]
            const entering = () =>
              Effect.forEach(
                members,
                ({ barrier }) => fork(Effect.flip(barrier.enter("b", { mode: "processingFence" })))
              )
            const early = isWaiting ? yield* entering() : []
            for (const fiber of early) yield* staysWaiting(backend, fiber)
            hold.held = false
            yield* third.messenger.send(Tick, 2)
            if (!isWaiting) yield* eventually(backend, () => second.swarmMember.mesh.source(ring)?.lost !== undefined)
            const said: Array<string> = []
            for (const fiber of isWaiting ? early : yield* entering()) {
              const { millis, value } = yield* timed(backend, fiber)
              assert.strictEqual(value._tag, "RangeLost")
              assert.isAtMost(millis, soon(backend, 100), "long before the deadline")
              said.push(value.message)
            }
            const named = new RegExp(
              `were lost to member "m1" \\(${showMember(second.id)}, pid \\d+\\).*end that member`
            )
            for (const message of [said[0], said[2]]) assert.match(message ?? "", named)
            assert.match(said[1] ?? "", /were lost to this member.*end this member and join again/)
            // For delivery fences, where members wait only for their own readers, the others meet as before.
            const delivered = yield* Effect.forEach(members, ({ barrier }) => fork(Effect.exit(barrier.enter("c"))))
            const outcomes = yield* Effect.forEach(delivered, (fiber) => joined(backend, fiber))
            assert.deepStrictEqual(outcomes.map(Exit.isSuccess), [true, false, true])
            // Its reader no longer holds room of that ring.
            for (let i = 0; i < 40; i += 1) {
              yield* joined(backend, yield* fork(first.messenger.send(Large, "x".repeat(1000))))
            }
            yield* second.close
            const again = yield* joined(backend, yield* fork(swarm.join("m1 again")))
            const all = yield* fork(enterAll([first, third, again], "b", { mode: "processingFence" }))
            const results = yield* joined(backend, all)
            assert.deepStrictEqual(
              results.map(({ _tag }) => _tag),
              ["Satisfied", "Satisfied", "Satisfied"]
            )
          })
      )
    }

    swarmTest(
      backend,
      "a member whose coordinator's ring is damaged again and again reads it anew, ever more slowly, and then knows all",
      (swarm) =>
        Effect.gen(function*() {
          const hold: Hold = { held: false }
          const count = { anew: 0 }
          const process = yield* swarm.attach("m0")
          const first = yield* joinAs(process, "m0", { coordinate: true })
          const second = yield* swarm.join("m1", {
            over: (ring) => counting(count)(holding(isCoordinator, hold)(ring))
          })
          yield* first.coordinator.awaitMembers(({ length }) => length === 2)
          const joining = count.anew
          const positionOf = Effect.map(first.ring.rings, (rings) =>
            rings.find(({ name }) => isCoordinator(name))?.position ?? 0)
          const damage = Effect.gen(function*() {
            hold.held = true
            const position = yield* positionOf
            yield* Effect.scoped(first.coordinator.joinGroup("noise"))
            yield* process.flip(ringNames.coordinator, position, bits)
            hold.held = false
          })
          yield* damage
          yield* eventually(backend, () =>
            count.anew > joining, "the ring was never read anew")
          // One damage, one reader more.
          yield* backend.elapse(1000)
          assert.strictEqual(count.anew, joining + 1)
          for (let i = 0; i < 40; i += 1) {
            yield* Effect.exit(Effect.timeout(damage, 50)).pipe(fork)
            yield* backend.elapse(50)
          }
          assert.isAtMost(count.anew, joining + 10)
          hold.held = false
          yield* first.coordinator.joinGroup("at the end")
          const knows = () => second.coordinator.group("at the end").length === 1
          yield* eventually(backend, knows, "it never knew all again")
          const published = yield* fork(second.coordinator.publish("alive"))
          yield* joined(backend, published)
        })
    )
  })
}
