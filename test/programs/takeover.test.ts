/**
 * Programs whose server is killed, stopped or restarted: the next server continues the log, and files arrive byte for byte.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Publisher } from "../../src/services/Publisher.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { untilStopped } from "../faults/stopped.ts"
import { filesOf, freshRegion, type Program, removeRegion, run, serve, small, start, untilTrue } from "./harness.ts"
import { clientOf, Kept, keptBatches, numberOf, recordOf, serveKept, stopRecovering } from "./recovering.ts"

const bytesPerPiece = 64 * 1024

/** Bytes that differ from piece to piece. */
const piece = (i: number): Buffer => Buffer.alloc(bytesPerPiece, `piece ${i} of the file;`)

/** A subscriber that writes all records, and a publisher that sends pieces of a file. */
const copying = (region: string, ...flags: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const reader = yield* start(["subscribe", "--region", region, "files", "--raw", "--follow", ...flags])
    const publisher = yield* start(["publish", "--region", region, "files", "--record-bytes", "1000", "-", ...flags])
    let sent = 0
    const send = (pieces: number) =>
      Effect.gen(function*() {
        for (const end = sent + pieces; sent < end; sent += 1) publisher.write(piece(sent).toString())
        yield* Effect.sleep(20)
      })
    const arrived = (pieces: number) =>
      untilTrue(`${pieces} pieces`, () => reader.stdout.length >= (pieces - 1) * bytesPerPiece)
    /** All that was sent has arrived; the log ends with the server that is told to end. */
    const finish = (server: Program) =>
      Effect.gen(function*() {
        publisher.endInput()
        assert.strictEqual(yield* publisher.code, 0, publisher.stderr)
        server.signal("SIGTERM")
        assert.strictEqual(yield* server.code, 0, server.stderr)
        assert.strictEqual(yield* reader.code, 0, reader.stderr)
        const whole = Buffer.concat(Array.from({ length: sent }, (_, i) => piece(i)))
        assert.isTrue(reader.stdout.equals(whole), `${reader.stdout.length} of ${whole.length} bytes`)
      })
    // A reader that attaches late misses what was trimmed by then: one piece is far less than the lanes hold.
    yield* send(1)
    yield* untilTrue("the reader has begun", () => reader.stdout.length > 0)
    return { send, arrived, finish, reader, publisher }
  })

const kill = (server: Program) =>
  Effect.suspend(() => {
    server.signal("SIGKILL")
    return server.ended
  })

const serveAgain = (region: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(
    start(["serve", "--region", region, ...small, ...args]),
    (server) => server.told(/serving region|"Serving"/)
  )

const standby = (region: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(
    start(["serve", "--region", region, "--standby", ...args]),
    (server) => server.told(/standing by for region/)
  )

const doctor = (region: string, ...args: ReadonlyArray<string>) =>
  Effect.map(run(["doctor", "--region", region, "--json", ...args]), ({ code, text }) => {
    const [found] = JSON.parse(text).regions
    return [code, found.status] as const
  })

/** A standby that was stopped in the midst of its takeover. One that was too fast serves, and is the next to be killed. */
const stoppedRecovering = Effect.fnUntraced(function*(region: string, server: Program) {
  for (let serving = server;;) {
    const successor = yield* standby(region)
    if (yield* stopRecovering(region, serving, successor)) return successor
    successor.signal("SIGCONT")
    yield* successor.told(/serving region/)
    serving = successor
  }
})

/** Reads the log from its start: every kept record is there, once and in order, and one that is published now. */
const everyRecordOnce = (region: string) =>
  Effect.gen(function*() {
    const publisher = yield* Publisher.open(Kept)
    yield* publisher.send(recordOf(keptBatches))
    yield* publisher.flush
    const reader = yield* Subscriber.open(Kept, { from: "start" })
    const found = yield* reader.records.pipe(
      Stream.take(keptBatches + 1),
      Stream.map(({ position, value }) => position === numberOf(value) ? 0 : 1),
      Stream.runFold(() => ({ records: 0, wrong: 0 }), ({ records, wrong }, isWrong) => ({
        records: records + 1,
        wrong: wrong + isWrong
      }))
    )
    assert.deepStrictEqual(found, { records: keptBatches + 1, wrong: 0 })
  }).pipe(Effect.scoped, Effect.provide(clientOf(region)))

describe.skipIf(process.platform !== "linux")("takeover", () => {
  it.live(
    "E14 a server that is killed and started again: publish and subscribe go on, byte for byte",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("again")
        let server = yield* serve(region, "--topic", "files")
        const copy = yield* copying(region)
        for (let round = 1; round <= 3; round += 1) {
          yield* copy.send(5)
          yield* copy.arrived(5 * round)
          const former = server.pid
          yield* kill(server)
          yield* copy.send(5)
          server = yield* serveAgain(region)
          yield* server.told(new RegExp(`took over from .*pid ${former}\\b`))
        }
        yield* copy.send(5)
        yield* copy.finish(server)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "E14 of two standbys one takes over from a killed server, and then the other: byte for byte",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("standbys")
        const server = yield* serve(region, "--topic", "files")
        const standbys = [yield* standby(region), yield* standby(region)]
        const copy = yield* copying(region)
        yield* copy.send(5)
        yield* copy.arrived(5)
        yield* kill(server)
        const isServing = ({ text }: Program) => text.includes("serving region")
        yield* untilTrue("a standby that serves", () => standbys.some(isServing))
        yield* copy.send(5)
        yield* copy.arrived(10)
        const [first, second] = standbys.toSorted((a, b) => Number(isServing(b)) - Number(isServing(a)))
        assert.isFalse(isServing(second!))
        yield* kill(first!)
        yield* copy.send(5)
        yield* second!.told(new RegExp(`took over from .*pid ${first!.pid}\\b`))
        yield* copy.send(5)
        yield* copy.finish(second!)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "E15 a stopped server is replaced by a suspicious standby, does no harm, and ends as deposed",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("suspect")
        const server = yield* serve(region, "--topic", "files")
        const other = yield* standby(region, "--takeover-suspect", "1s")
        const copy = yield* copying(region)
        yield* copy.send(5)
        yield* copy.arrived(5)
        server.signal("SIGSTOP")
        yield* untilStopped(server.pid)
        yield* other.told(/serving region/)
        yield* copy.send(5)
        yield* copy.arrived(10)
        server.signal("SIGCONT")
        assert.strictEqual(yield* server.code, 5, server.stderr)
        assert.match(
          server.stderr,
          new RegExp(`"serve" \\(pid ${other.pid}\\) has taken over the log of region "${region}"`)
        )
        assert.match(server.text, /^deposed: /m)
        yield* copy.send(5)
        yield* copy.finish(other)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "stopped servers that hold all places are named, and one that is ended lets a standby take over",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("blocked")
        const servers = [yield* serve(region, "--topic", "files")]
        const copy = yield* copying(region, "--server-deadline", "60s")
        for (const last of [false, false, true]) {
          yield* copy.send(5)
          const next = yield* standby(region, "--takeover-suspect", "500ms")
          const former = servers.at(-1)!
          former.signal("SIGSTOP")
          yield* untilStopped(former.pid)
          servers.push(next)
          if (!last) yield* next.told(/serving region/)
        }
        const [first, second, , blocked] = servers as [Program, Program, Program, Program]
        for (const { pid } of [first, second]) yield* blocked.noticed(new RegExp(`held by .*pid ${pid}\\b`, "s"))
        assert.notInclude(blocked.text, "serving region")
        yield* kill(first)
        yield* blocked.told(/serving region/)
        yield* copy.send(5)
        yield* copy.finish(blocked)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "E15 a standby that is stopped in the midst of its recovery: the next one recovers, and the stopped one is deposed",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("recovering")
        const server = yield* serveKept(region)
        const stopped = yield* stoppedRecovering(region, server)
        const named = new RegExp(`"serve" \\(pid ${stopped.pid}\\)`)
        // Without suspicion it is waited for, and named; a suspicious one does not wait.
        const waiting = yield* standby(region)
        const [line] = yield* waiting.noticed(/.*continues the log and has not run for.*/)
        assert.match(line, named)
        assert.include(line, `\`kill -CONT ${stopped.pid}\``)
        const late = yield* run(["publish", "--region", region, Kept.name, "--server-deadline", "700ms"], { input: "" })
        assert.strictEqual(late.code, 4, late.stderr)
        assert.match(late.stderr, /which continues its log, has not finished/)
        assert.match(late.stderr, named)
        const next = yield* standby(region, "--takeover-suspect", "500ms")
        yield* next.told(/serving region/)
        stopped.signal("SIGCONT")
        assert.strictEqual(yield* stopped.code, 5, stopped.stderr)
        assert.match(
          stopped.stderr,
          new RegExp(`"serve" \\(pid ${next.pid}\\) has taken over the log of region "${region}"`)
        )
        yield* everyRecordOnce(region)
        waiting.signal("SIGTERM")
        yield* waiting.ended
        next.signal("SIGTERM")
        assert.strictEqual(yield* next.code, 0, next.stderr)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a server that is killed in the midst of its recovery: the next `serve` recovers",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("recovering")
        const server = yield* serveKept(region)
        yield* kill(yield* stoppedRecovering(region, server))
        const next = yield* serveAgain(region)
        yield* everyRecordOnce(region)
        next.signal("SIGTERM")
        assert.strictEqual(yield* next.code, 0, next.stderr)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a standby without suspicion names the stopped server that it waits for, and takes over once it is ended",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("standing")
        const server = yield* serve(region, "--topic", "files")
        const other = yield* standby(region)
        server.signal("SIGSTOP")
        yield* untilStopped(server.pid)
        const [line] = yield* other.noticed(/.*serves the log and has not run for.*/)
        assert.match(line, new RegExp(`"serve" \\(pid ${server.pid}\\)`))
        assert.include(line, `\`kill -CONT ${server.pid}\` continues it, if it is stopped; or end it`)
        const again = yield* run(["serve", "--region", region, ...small])
        assert.strictEqual(again.code, 3, again.stderr)
        assert.match(again.stderr, new RegExp(`pid ${server.pid}\\b`))
        assert.notInclude(other.text, "serving region")
        yield* kill(server)
        yield* other.told(/serving region/)
        other.signal("SIGTERM")
        assert.strictEqual(yield* other.code, 0, other.stderr)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a standby leaves an idle server alone, and ends with the log", () =>
    Effect.gen(function*() {
      const region = freshRegion("idle")
      const server = yield* serve(region, "--topic", "files")
      const other = yield* standby(region, "--takeover-suspect", "500ms")
      yield* Effect.sleep("2 seconds")
      assert.notInclude(other.text, "serving region")
      server.signal("SIGTERM")
      assert.strictEqual(yield* server.code, 0, server.stderr)
      assert.strictEqual(yield* other.code, 0, other.stderr)
      assert.match(other.text, /the log of region ".*" has ended in good order/)
      assert.deepStrictEqual(filesOf(region), [])
    }).pipe(Effect.scoped), 30_000)

  it.live(
    "clients wait for the next server until their deadline, say so once, and fail with the loss",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("deadline")
        const server = yield* serve(region, "--topic", "files")
        const copy = yield* copying(region, "--server-deadline", "1500ms")
        yield* copy.send(2)
        yield* copy.arrived(2)
        yield* kill(server)
        const begun = performance.now()
        const codes = yield* Effect.all([copy.publisher.code, copy.reader.code], { concurrency: "unbounded" })
        assert.deepStrictEqual(codes, [5, 5])
        assert.isAtLeast(performance.now() - begun, 1300)
        for (const { stderr } of [copy.publisher, copy.reader]) {
          assert.strictEqual(stderr.split("waiting at most 1.50 s for another").length, 2, stderr)
          assert.match(
            stderr,
            new RegExp(`the process that served region "${region}" \\(pid ${server.pid}, "serve"\\) died`)
          )
        }
        const late = yield* run(["subscribe", "--region", region, "files", "--server-deadline", "0ms"])
        assert.strictEqual(late.code, 3, late.stderr)
        assert.match(late.stderr, /no process serves the log/)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "the log of a killed server is data: doctor says so, and only --fresh discards it",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("data")
        const server = yield* serve(region, "--topic", "lines")
        yield* run(["publish", "--region", region, "lines"], { input: "a\nb\nc\n" })
        yield* kill(server)
        assert.deepStrictEqual(yield* doctor(region), [1, "recoverable"])
        assert.deepStrictEqual(yield* doctor(region, "--repair"), [1, "recoverable"])
        const said = yield* run(["doctor", "--region", region])
        assert.include(said.text, `its server (pid ${server.pid}) is dead, and its log is recoverable`)
        assert.include(
          said.stderr,
          "1 log without a server (`ringfence serve` continues it; --repair --fresh discards it)"
        )
        const next = yield* serveAgain(region)
        const read = yield* run(["subscribe", "--region", region, "lines"])
        assert.strictEqual(read.text, "a\nb\nc\n", read.stderr)
        yield* kill(next)
        const fresh = yield* serveAgain(region, "--fresh")
        assert.match(fresh.stderr, /discarded the log of a dead server: topic "lines" with 3 records/)
        assert.notInclude(fresh.text, "took over")
        const unknown = yield* run(["subscribe", "--region", region, "lines"])
        assert.strictEqual(unknown.code, 2, unknown.stderr)
        yield* kill(fresh)
        assert.deepStrictEqual(yield* doctor(region, "--repair", "--fresh"), [0, "removed"])
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    40_000
  )

  it.live("--keep leaves the log to the next server, and to a standby at once", () =>
    Effect.gen(function*() {
      const region = freshRegion("keep")
      yield* Effect.addFinalizer(() => Effect.sync(() => removeRegion(region)))
      const server = yield* serve(region, "--topic", "lines", "--keep")
      yield* run(["publish", "--region", region, "lines"], { input: "a\nb\n" })
      server.signal("SIGTERM")
      assert.strictEqual(yield* server.code, 0, server.stderr)
      assert.deepStrictEqual(yield* doctor(region), [1, "recoverable"])
      // The same command serves what is there, or stands by.
      const next = yield* start(["serve", "--region", region, "--standby", "--keep"])
      yield* next.told(/serving region/)
      const other = yield* standby(region, "--keep")
      const follower = yield* start(["subscribe", "--region", region, "lines", "--follow", "--count", "3"])
      next.signal("SIGTERM")
      assert.strictEqual(yield* next.code, 0, next.stderr)
      yield* other.told(new RegExp(`took over from .*pid ${next.pid}\\b`))
      const published = yield* run(["publish", "--region", region, "lines"], { input: "c\n" })
      assert.strictEqual(published.code, 0, published.stderr)
      assert.strictEqual(yield* follower.code, 0, follower.stderr)
      assert.strictEqual(follower.text, "a\nb\nc\n")
    }).pipe(Effect.scoped), 40_000)
})
