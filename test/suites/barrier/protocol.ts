/**
 * Arrivals that the coordinator refuses: those that do not decode, or name impossible targets.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  type Answer,
  noticeWire,
  type PayloadOf,
  type Request,
  requestWire
} from "../../../src/layers/swarm/control/ControlCodec.ts"
import { everyMember, frameKind, headerOf, ringNames } from "../../../src/layers/swarm/transport/FrameAddress.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import type { BarrierArrival } from "../../../src/services/schema/BarrierArrival.ts"
import type { DrainTarget } from "../../../src/services/schema/DrainTarget.ts"
import {
  at,
  enterAll,
  eventually,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { rewriting } from "../../faults/held.ts"

const Tick = Messenger.event("tick", Schema.Int)

const isControl = (ring: string): boolean => ring.startsWith("control/")

const arrivalOf = (change: Partial<BarrierArrival>): BarrierArrival => ({
  name: "injected",
  group: "all",
  mode: "deliveryFence",
  epoch: 1,
  attempt: 1_000_000,
  amendment: 0,
  deadlineMillis: 1000,
  drainTargets: [],
  exempt: [],
  ...change
})

const failureOf = (answer: Answer) =>
  answer._tag === "Arrive" ? Result.getOrUndefined(Result.flip(answer.outcome)) : undefined

export const barrierProtocolSuite = (backend: SwarmBackend): void => {
  /** The coordinator's answer to an arrival that the project's own code never sends. */
  const answerTo = Effect.fnUntraced(function*(member: TestMember, arrival: PayloadOf<"Arrive">) {
    const answers: Array<Answer> = []
    let sent = -1
    const stop = member.swarmMember.coordinator.onNotice((notice) => {
      if (notice._tag === "Answered" && notice.number === sent) answers.push(notice.answer)
    })
    yield* member.swarmMember.coordinator.tell("Arrive", (number) => {
      sent = number
      return arrival
    })
    yield* eventually(backend, () => answers.length > 0)
    stop()
    return failureOf(at(answers, 0))
  })

  const reasonFor = (member: TestMember, target: DrainTarget) =>
    Effect.map(
      answerTo(member, arrivalOf({ drainTargets: [target] })),
      (failure) => failure?._tag === "ArrivalRefused" ? failure.reason : failure?._tag
    )

  describe(`barrier protocol (${backend.name})`, () => {
    swarmTest(
      backend,
      "targets of another generation, of another's ring, or beyond what was sent are refused typed",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [other, member] = [at(members, 0), at(members, 1)]
          yield* member.messenger.send(Tick, 1)
          const target = member.swarmMember.mesh.target()
          const wrong: ReadonlyArray<DrainTarget> = [
            { ...target, generation: target.generation + 1 },
            { ...target, generation: 0 },
            { ...target, position: target.position + 8 },
            { ...target, position: -8 },
            { ...target, ring: 10_000 },
            other.swarmMember.mesh.target()
          ]
          const reasons = yield* Effect.forEach(wrong, (each) => reasonFor(member, each))
          const impossible = "impossible"
          assert.deepStrictEqual(reasons, ["generation", "generation", impossible, impossible, impossible, impossible])
          // None of the refused arrivals counts.
          const waiting = yield* fork(other.barrier.enter("injected"))
          yield* staysWaiting(backend, waiting)
          yield* member.barrier.enter("injected")
          yield* joined(backend, waiting)
        })
    )

    swarmTest(
      backend,
      "an arrival that does not decode is refused as malformed, and the next one counts",
      (swarm) =>
        Effect.gen(function*() {
          let spoils = false
          const change = (payload: Uint8Array) =>
            spoils ? payload.map((byte, i) => i % 3 === 0 ? byte ^ 0x5a : byte) : payload
          const members = yield* joinAll(swarm, 2, (index) => index === 1 ? { over: rewriting(isControl, change) } : {})
          spoils = true
          const error = yield* Effect.flip(at(members, 1).barrier.enter("b"))
          assert.deepInclude(error, { _tag: "ArrivalRefused", barrier: "b", reason: "malformed" })
          spoils = false
          const results = yield* enterAll(members, "b")
          assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
        })
    )

    swarmTest(
      backend,
      "a process that is not a member, or writes an invalid request, is answered and harms no member",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const { ring } = yield* swarm.attach("stranger")
          const self = { slot: ring.self.process, generation: ring.self.generation }
          const writer = yield* ring.openWriter(ringNames.control(self.slot))
          yield* eventually(backend, () => ring.readers(writer.ring).length > 0)
          const reader = yield* ring.openReader(ringNames.coordinator)
          const heard: Array<string> = []
          const listen = () => {
            for (const { payload } of reader.poll(64)) {
              const notice = noticeWire.decode(payload)
              if (notice?._tag !== "Answered") continue
              const { answer, number } = notice
              heard.push(`${number} ${answer._tag === "RequestRefused" ? answer.reason : answer._tag}`)
            }
            const { read } = reader.cursors()
            reader.advance({ read, delivered: read, handled: read, released: read })
          }
          const say = (number: number, payload: Uint8Array) =>
            writer.send(headerOf(frameKind.control, 0, self, everyMember, number), payload)
          const asRequest = (request: Request, number: number) =>
            requestWire.encode({ term: reader.generation(), number, request })
          say(7, new Uint8Array(0))
          say(8, new Uint8Array(100).fill(255))
          say(9, asRequest({ _tag: "Arrive", payload: arrivalOf({}) }, 9))
          say(10, asRequest({ _tag: "Withdraw", payload: { attempt: 1, stay: false } }, 10))
          yield* eventually(backend, () => {
            listen()
            return heard.length === 4
          })
          assert.deepStrictEqual(heard, ["7 malformed", "8 malformed", "9 notMember", "10 notMember"])
          assert.strictEqual((yield* enterAll(members, "b"))[0]?._tag, "Satisfied")
        })
    )

    swarmTest(
      backend,
      "an amendment of an arrival that the coordinator does not know is told so",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const failure = yield* answerTo(at(members, 1), arrivalOf({ amendment: 3 }))
          assert.strictEqual(failure?._tag, "RoundOver")
        })
    )

    swarmTest(
      backend,
      "a name whose request does not decode is not taken: the request fails as one without an answer",
      (swarm) =>
        Effect.gen(function*() {
          let spoils = false
          const change = (payload: Uint8Array) => spoils ? payload.map((byte) => byte ^ 0x5a) : payload
          const members = yield* joinAll(swarm, 2, (index) => index === 1 ? { over: rewriting(isControl, change) } : {})
          const { coordinator } = at(members, 1)
          spoils = true
          const error = yield* Effect.flip(coordinator.publish("name"))
          assert.deepInclude(error, { _tag: "CoordinatorLost", reason: "silent" })
          spoils = false
          yield* coordinator.publish("name")
          assert.strictEqual(coordinator.resolve("name")?.name, "m1")
        })
    )

    swarmTest(
      backend,
      "an answer to another verb than was asked does not end the request",
      (swarm) =>
        Effect.gen(function*() {
          let told = 0
          const change = (payload: Uint8Array) => {
            const notice = noticeWire.decode(payload)
            if (notice?._tag !== "Answered" || notice.answer._tag !== "Publish") return payload
            told += 1
            return noticeWire.encode({ ...notice, answer: { _tag: "Unpublish", outcome: Result.void } })
          }
          const over = rewriting((ring) => ring === ringNames.coordinator, change)
          const members = yield* joinAll(swarm, 2, (index) => index === 0 ? { over } : { answerDeadline: 1000 })
          const waiting = yield* fork(at(members, 1).coordinator.publish("name"))
          yield* eventually(backend, () => told > 0)
          yield* staysWaiting(backend, waiting)
        })
    )

    swarmTest(
      backend,
      "a refused amendment fails its own fiber, and the arrival stands",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [one, two] = [at(members, 0), at(members, 1)]
          yield* one.coordinator.joinGroup("strings")
          const early = yield* Effect.scoped(Effect.gen(function*() {
            yield* two.coordinator.joinGroup("strings")
            const early = yield* Effect.forkDetach(two.barrier.enter("b", { group: "strings" }), {
              startImmediately: true
            })
            yield* backend.elapse(5)
            return early
          }))
          const late = yield* Effect.flip(two.barrier.enter("b", { group: "strings" }))
          assert.deepInclude(late, { _tag: "ArrivalRefused", reason: "notInGroup" })
          assert.strictEqual((yield* one.barrier.enter("b", { group: "strings" }))._tag, "Satisfied")
          assert.strictEqual((yield* joined(backend, early))._tag, "Satisfied")
        })
    )
  })
}
