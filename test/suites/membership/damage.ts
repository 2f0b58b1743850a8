/**
 * A member's ring is damaged under a fence: the fence is never satisfied over a damaged message.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import { headerBytes } from "../../../src/layers/ring/FrameCodec.ts"
import { ringNames } from "../../../src/layers/swarm/transport/FrameAddress.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import type { BarrierMode } from "../../../src/services/schema/BarrierArrival.ts"
import { eventually, fork, joinAs, type SwarmBackend, swarmTest } from "../../backends/swarm.ts"
import { type Hold, holding } from "../../faults/held.ts"
import { soon, timed } from "./times.ts"

const Tick = Messenger.event("tick", Schema.Int)

/** The effects of changed bits on a message for `m1`. */
const damages: Record<string, readonly [byte: number, bit: number]> = {
  "a request, which no one has asked for": [4, 0],
  "a kind that does not exist": [4, 6],
  "the first part of a message that never ends": [6, 0],
  "the end of a message that never began": [6, 1],
  "a message of another type": [8, 3],
  "a message from another member": [12, 2],
  "a message from the former member of its slot": [16, 1],
  "a message for another member": [29, 2]
}

const isEvents = (ring: string): boolean => ring.startsWith("events/")

export const swarmDamageSuite = (backend: SwarmBackend): void => {
  describe(`a damaged ring under a fence (${backend.name})`, () => {
    for (const mode of ["deliveryFence", "processingFence"] satisfies ReadonlyArray<BarrierMode>) {
      for (const [what, [byte, bit]] of Object.entries(damages)) {
        swarmTest(backend, `${mode}: it fails at once over ${what}`, (swarm) =>
          Effect.gen(function*() {
            const hold: Hold = { held: false }
            const over = holding(isEvents, hold)
            const process = yield* swarm.attach("m0")
            const sender = yield* joinAs(process, "m0", { coordinate: true, over })
            const warned: Array<string> = []
            const logger = Logger.make(({ message }) => void warned.push(`${message}`))
            const receiver = yield* swarm.join("m1", { over }).pipe(Effect.provide(Logger.layer([logger])))
            yield* sender.coordinator.awaitMembers(({ length }) => length === 2)
            const seen: Array<number> = []
            yield* receiver.messenger.subscribe(Tick, (tick) => Effect.sync(() => void seen.push(tick)))
            yield* sender.messenger.send(Tick, 0)
            yield* receiver.barrier.enter("before").pipe(
              Effect.zip(sender.barrier.enter("before"), { concurrent: true })
            )
            hold.held = true
            yield* sender.messenger.send(Tick, 1)
            const { position } = sender.swarmMember.mesh.target()
            yield* sender.messenger.send(Tick, 2)
            const bits = new Uint8Array(headerBytes)
            bits[byte] = 1 << bit
            yield* process.flip(ringNames.events(sender.id.slot), position, bits)
            hold.held = false
            const entering = yield* fork(Effect.flip(receiver.barrier.enter("b", { mode })))
            yield* fork(Effect.exit(sender.barrier.enter("b", { mode })))
            const { millis, value } = yield* timed(backend, entering)
            assert.strictEqual(value._tag, "RangeLost")
            assert.isAtMost(millis, soon(backend, 100), "long before the deadline")
            assert.deepStrictEqual(seen, [0, 1], "what came before it")
            const stopped = "has stopped reading \"events/"
            yield* eventually(backend, () => warned.some((text) => text.includes(stopped)))
            const warning = warned.find((text) => text.includes(stopped)) ?? ""
            assert.match(warning, /: (?!it was evicted)[^.]+\. Fences over it/)
            assert.notInclude(warning, "undefined")
          }))
      }
    }
  })
}
