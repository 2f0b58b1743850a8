/**
 * Programs whose server is stopped, is killed or ends: they end in time, whether busy or idle, and name the process
 * that holds them up.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { smallGeometry } from "../backends/log.ts"
import { untilStopped } from "../faults/stopped.ts"
import { freshRegion, type Program, run, serve, start } from "./harness.ts"

/** Ends at once when its server is killed. */
const publisherOf = (region: string) => start(["publish", "--region", region, "lines", "--server-deadline", "0ms"])

/** A publisher that has published one line from a pipe that stays open, and waits for the next. */
const idlePublisher = (region: string) =>
  Effect.gen(function*() {
    const reader = yield* start(["subscribe", "--region", region, "lines", "-f", "--count", "1"])
    const publisher = yield* publisherOf(region)
    publisher.write("go\n")
    assert.strictEqual(yield* reader.code, 0, reader.stderr)
    return publisher
  })

/** A publisher that publishes for as long as it can. */
const busyPublisher = (region: string) =>
  Effect.gen(function*() {
    const publisher = yield* publisherOf(region)
    const line = "busy\n".repeat(1000)
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sync(() => publisher.write(line)), Effect.sleep(1))))
    const reader = yield* start(["subscribe", "--region", region, "lines", "-f", "--count", "1000"])
    assert.strictEqual(yield* reader.code, 0, reader.stderr)
    return publisher
  })

/** The line with the reason, without the line with its progress. */
const reasonOf = ({ stderr }: Program) => stderr.split("\n").filter((line) => line.startsWith("ringfence: ")).join("\n")

const endsAlike = (signal: NodeJS.Signals, reason: RegExp) =>
  Effect.gen(function*() {
    const region = freshRegion("ends")
    const server = yield* serve(region, "--topic", "lines")
    const idle = yield* idlePublisher(region)
    const busy = yield* busyPublisher(region)
    server.signal(signal)
    yield* server.ended
    const codes = yield* Effect.all([idle.code, busy.code]).pipe(Effect.timeout("1500 millis"))
    assert.deepStrictEqual(codes, [5, 5], `${idle.stderr} ${busy.stderr}`)
    assert.match(reasonOf(idle), reason)
    assert.strictEqual(reasonOf(busy), reasonOf(idle))
    assert.match(idle.stderr, /^published so far: 1 record, 1 acknowledged$/m)
  })

describe.skipIf(process.platform !== "linux")("servers", () => {
  it.live("a publisher that waits for its input ends as a busy one does when its server is killed", () =>
    endsAlike("SIGKILL", /the process that served region ".*died/))

  it.live("a publisher that waits for its input ends as a busy one does when its server ends in good order", () =>
    endsAlike("SIGINT", /region ".*" is no longer served/))

  it.live("publish --deadline 2s ends in time when its server is stopped, and says which process to continue", () =>
    Effect.gen(function*() {
      const [region, other] = [freshRegion("stopped"), freshRegion("other")]
      const server = yield* serve(region, "--topic", "lines")
      yield* serve(other, "--topic", "lines")
      const publish = (to: string, deadline: string) =>
        Effect.timed(run(["publish", "--region", to, "lines", "--deadline", deadline], { input: "x\n" }))
      server.signal("SIGSTOP")
      yield* untilStopped(server.pid)
      // Compare it with a program whose server runs, which measures the present cost of a start.
      const both = [publish(region, "2s"), publish(other, "2s")]
      const [first, beside] = yield* Effect.all(both, { concurrency: "unbounded" })
      const more = yield* Effect.forEach([1, 2, 3, 4], () => publish(region, "50ms"))
      const millisOver = Duration.toMillis(first![0]) - Duration.toMillis(beside![0])
      assert.isBelow(millisOver, 3000)
      // More than there are session slots; each fails alike.
      for (const [_, ran] of [first!, ...more]) {
        assert.strictEqual(ran.code, 4, ran.stderr)
        assert.include(ran.stderr, `the serving process (pid ${server.pid}, "serve") is attached but does not answer`)
        assert.include(ran.stderr, `kill -CONT ${server.pid}`)
        assert.notInclude(ran.stderr, "start")
      }
      server.signal("SIGCONT")
      const [, again] = yield* publish(region, "10s")
      assert.strictEqual(again.code, 0, again.stderr)
    }))

  it.live("commands whose server does not serve yet end in time, and name the process that created the region", () =>
    Effect.gen(function*() {
      const region = freshRegion("unserved")
      yield* Layer.build(CxlMemory.layerShm({ region, geometry: { ...smallGeometry, processes: 16 } }))
      const commands = [["publish", "--deadline", "100ms"], ["subscribe"]]
      for (const [command = "", ...flags] of commands) {
        const ran = yield* run([command, "--region", region, "lines", ...flags], { input: "x\n" })
        assert.strictEqual(ran.code, 4, ran.stderr)
        assert.include(ran.stderr, `the process that created the region (pid ${process.pid}, "`)
        assert.include(ran.stderr, "is attached but does not serve its log yet")
        assert.include(ran.stderr, `kill -CONT ${process.pid}`)
      }
    }).pipe(Effect.scoped))

  it.live("a publisher whose server is stopped while it publishes ends in time, and says which process to continue", () =>
    Effect.gen(function*() {
      const region = freshRegion("stops")
      const server = yield* serve(region, "--topic", "lines")
      for (const deadline of ["1s", "1500ms"]) {
        const publisher = yield* start(["publish", "--region", region, "lines", "--deadline", deadline])
        const reader = yield* start(["subscribe", "--region", region, "lines", "-f", "--from", "end", "--count", "1"])
        // Until the subscriber has its line, one after the other.
        const going = yield* Effect.forkChild(
          Effect.forever(Effect.andThen(Effect.sync(() => publisher.write("go\n")), Effect.sleep(20)))
        )
        assert.strictEqual(yield* reader.code, 0, reader.stderr)
        yield* Fiber.interrupt(going)
        server.signal("SIGSTOP")
        yield* untilStopped(server.pid)
        const begun = performance.now()
        // The first publisher needs more room than there is, the second only waits for its acknowledgements.
        publisher.endInput(deadline === "1s" ? "y".repeat(15 * 1024).concat("\n").repeat(100) : "more\n")
        assert.strictEqual(yield* publisher.code, 4, publisher.stderr)
        assert.isBelow(performance.now() - begun, 2500)
        assert.include(publisher.stderr, `(pid ${server.pid}, "serve") is attached but does not answer`)
        assert.include(publisher.stderr, `kill -CONT ${server.pid}`)
        server.signal("SIGCONT")
      }
    }))
})
