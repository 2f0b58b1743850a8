/**
 * Rings over real processes, which are killed or stopped in mid-stream. The seed is printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import * as Rings from "../../src/layers/Rings.ts"
import { Ring, type RingReaderHandle } from "../../src/services/Ring.ts"
import { smallRings } from "../backends/ring.ts"
import { rounds } from "../rounds.ts"
import { sequenceOf, stamped } from "../suites/ring/stamps.ts"
import { type Actor, freshRegion, seeded, startActor } from "./harness.ts"
import type { RingActorOptions } from "./ringActor.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

const kills = rounds(3, 10)

const geometry = { ...smallRings, rings: 2, ringBytes: 64 * 1024 }

const serving = (region: string) =>
  Rings.layerNative.pipe(Layer.provideMerge(CxlMemory.layerShm({ region, geometry, processName: "owner" })))

const start = (part: "write" | "read", region: string, options: RingActorOptions) =>
  startActor("ringActor.ts", [part, region, JSON.stringify(options)])

const withinOneSecond = Effect.timeout("1 second")

const untilTrue = (holds: () => boolean) =>
  Effect.gen(function*() {
    while (!holds()) yield* Effect.sleep(1)
  })

/** All messages until the end of the writer; they are dense from `first` on. */
const readToTheEnd = Effect.fnUntraced(function*(reader: RingReaderHandle, first: number | undefined) {
  let next = first
  for (let messages = yield* reader.pull; messages.length > 0; messages = yield* reader.pull) {
    for (const { payload } of messages) {
      const sequence = sequenceOf(payload)
      assert.strictEqual(sequence, next ?? sequence)
      next = sequence + 1
    }
  }
  return next
})

describe(`rings over processes (seed ${seed})`, () => {
  it.live(
    `S25 a killed reader stops holding the writer up within a second, and others lose nothing, ${kills} times`,
    () => {
      const region = freshRegion("ring-readers")
      return Effect.gen(function*() {
        const writer = yield* Ring.writer({ name: "ring" })
        const survivor = yield* Ring.reader({ name: "ring" })
        let seen = 0
        const surviving = yield* Effect.forkChild(Stream.runForEach(survivor.messages, (message) =>
          Effect.sync(() => {
            assert.strictEqual(sequenceOf(message), seen)
            seen += 1
          })))
        let sequence = 0
        const send = Effect.suspend(() => writer.send(stamped(sequence, 100 + sequence % 500))).pipe(
          Effect.andThen(Effect.sync(() => {
            sequence += 1
          })),
          Effect.andThen(Effect.yieldNow)
        )
        for (let round = 0; round < kills; round += 1) {
          const victim = yield* start("read", region, { name: `victim ${round}` })
          yield* victim.ready
          let enough = Infinity
          const sending = yield* Effect.forkChild(Effect.repeat(send, { until: () => sequence >= enough }))
          yield* victim.acknowledged(256 * (1 + random(4)))
          victim.signal(random(2) === 0 ? "SIGKILL" : "SIGSTOP") // some of them certainly hold room when they die
          yield* Effect.sleep(random(20))
          victim.signal("SIGKILL")
          yield* victim.exit
          enough = sequence + 1000
          yield* withinOneSecond(Fiber.join(sending))
        }
        yield* untilTrue(() => seen === sequence || surviving.pollUnsafe() !== undefined)
        assert.strictEqual(seen, sequence)
        assert.strictEqual((yield* Ring).readers(writer.ring).length, 1)
      }).pipe(
        Effect.scoped,
        Effect.provide(serving(region)),
        Effect.andThen(Effect.sync(() => assert.isFalse(existsSync(CxlMemory.regionPath(region)))))
      )
    },
    60_000
  )

  it.live(
    `S25 a killed writer's published messages are read to the last, and the next one goes on, ${kills} times`,
    () => {
      const region = freshRegion("ring-writers")
      return Effect.gen(function*() {
        const ring = yield* Ring
        let reader: RingReaderHandle | undefined
        let next: number | undefined
        for (let round = 1; round <= kills; round += 1) {
          const writer = yield* start("write", region, { name: `writer ${round}`, first: next ?? 0 })
          const { sessionId: generation } = yield* writer.ready
          assert.strictEqual(generation, round)
          reader ??= yield* Ring.reader({ name: "ring" })
          const reading = yield* Effect.forkChild(readToTheEnd(reader, next))
          yield* writer.acknowledged((next ?? 0) + 256 * (1 + random(20)))
          writer.signal("SIGKILL")
          yield* writer.exit
          next = yield* withinOneSecond(Fiber.join(reading))
          const [state] = yield* ring.rings
          assert.isFalse(state?.written)
          assert.strictEqual(reader.cursors().released, state?.position)
        }
      }).pipe(Effect.scoped, Effect.provide(serving(region)))
    },
    60_000
  )

  it.live("a stopped reader holds the writer up, by name, is not dead, and reads all when it continues", () => {
    const region = freshRegion("ring-stopped")
    return Effect.gen(function*() {
      const { isAlive } = yield* RingPorts
      const { processes } = yield* CxlMemory.CxlMemory
      const writer = yield* Ring.writer({ name: "ring", roomDeadline: "300 millis" })
      const sleeper: Actor = yield* start("read", region, { name: "sleeper" })
      const { sessionId: slot } = yield* sleeper.ready
      let sequence = 0
      const send = Effect.suspend(() => writer.send(stamped(sequence, 200))).pipe(
        Effect.andThen(Effect.sync(() => {
          sequence += 1
        }))
      )
      for (let i = 0; i < 1000; i += 1) yield* send
      sleeper.signal("SIGSTOP")
      const full = yield* Effect.flip(Effect.forever(send))
      assert.isTrue(full._tag === "RingFull" && full.process === slot && full.reader === "sleeper")
      const shown = (yield* processes).find((process) => process.slot === slot)
      assert.deepInclude(shown, { pid: sleeper.pid, name: "sleeper", alive: true })
      assert.isTrue(isAlive(slot, shown?.generation ?? 0))
      sleeper.signal("SIGCONT")
      yield* Effect.repeat(send, { until: () => sequence % 256 === 0 })
      yield* sleeper.acknowledged(sequence)
    }).pipe(Effect.scoped, Effect.provide(serving(region)))
  }, 60_000)

  it.live("what a copying reader of an evicting ring gets is whole, however fast it is overwritten", () => {
    const region = freshRegion("ring-evicting")
    return Effect.gen(function*() {
      const writer = yield* start("write", region, { name: "writer", whenFull: "evict", bytes: 2000 })
      yield* writer.ready
      const reader = yield* Ring.reader({ name: "ring" })
      let last = -1
      let evictions = 0
      let read = 0
      const reading = reader.messages.pipe(Stream.runForEach((message) =>
        Effect.gen(function*() {
          const sequence = sequenceOf(message)
          assert.isAbove(sequence, last)
          last = sequence
          read += 1
          if (read % 50 === 0) yield* Effect.sleep(random(3))
        })
      ))
      while (evictions < 100) {
        const lost = yield* Effect.flip(reading)
        assert.isTrue(lost._tag === "ReaderEvicted" && lost.to > lost.from)
        evictions += 1
      }
      assert.isAbove(read, 100)
      assert.isFalse(writer.exited)
    }).pipe(Effect.scoped, Effect.provide(serving(region)))
  }, 60_000)
})
