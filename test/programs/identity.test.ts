/**
 * `ringfence publish --identity`: a publish that is killed is continued by the next one, and the file arrives byte for byte.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { seeded } from "../processes/seeded.ts"
import { filesOf, folder, freshRegion, type Program, run, serve, start } from "./harness.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

const attached = (region: string) =>
  Effect.provide(Log.layerClient().pipe(Layer.provideMerge(CxlMemory.layerAttach({ region }))))

/** Reads only as far as it is told, so that a publisher is in the midst of its file whenever it is killed. */
const copying = Effect.gen(function*() {
  const subscriber = yield* Subscriber.open(Topic.make("files"))
  const hash = createHash("sha256")
  const copied = { bytes: 0, records: 0 }
  const until = (bytes: number) =>
    Effect.gen(function*() {
      while (copied.bytes < bytes) {
        for (const batch of yield* subscriber.pull) {
          assert.strictEqual(batch.position, copied.records)
          hash.update(batch.payload)
          copied.records += batch.messageCount
          copied.bytes += batch.payload.length
        }
        subscriber.release()
      }
    })
  return { until, copied, digest: () => hash.digest("hex") }
})

const identities = (region: string) =>
  Effect.map(run(["doctor", "--region", region, "--json"]), ({ text }) => JSON.parse(text).regions[0].log.identities)

describe.skipIf(process.platform !== "linux")(`identities of publish (seed ${seed})`, () => {
  it.live(
    "a publish that is killed ten times and started again: the file arrives byte for byte",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("import")
        const server = yield* serve(region, "--topic", "files")
        const path = join(yield* folder, "input")
        const file = Buffer.alloc(12_000_123)
        for (let i = 0; i + 4 <= file.length; i += 4) file.writeUInt32LE((i * 2_654_435_761) >>> 0, i)
        writeFileSync(path, file)
        const publish = (...flags: ReadonlyArray<string>) =>
          start([
            "publish",
            "--region",
            region,
            "files",
            "--identity",
            "import",
            "--record-bytes",
            "1000",
            ...flags,
            path
          ])
        yield* Effect.gen(function*() {
          const copy = yield* copying
          for (let round = 0; round < 10; round += 1) {
            const publisher = yield* publish()
            // Some are killed wherever they are, perhaps before they begin.
            if (round % 3 === 2) yield* Effect.sleep(random(400))
            else yield* Effect.andThen(copy.until(copy.copied.bytes + 1 + random(1_000_000)), Effect.sleep(random(20)))
            publisher.signal("SIGKILL")
            yield* publisher.ended
          }
          const last = yield* publish("--json")
          yield* copy.until(file.length)
          assert.strictEqual(yield* last.code, 0, last.stderr)
          const report = JSON.parse(last.text)
          assert.strictEqual(report.identity, "import")
          assert.isAbove(report.skipped, 0)
          assert.deepStrictEqual([report.skipped + report.records, report.records], [12_001, report.acknowledged])
          assert.deepStrictEqual([copy.copied.bytes, copy.copied.records], [file.length, 12_001])
          assert.strictEqual(copy.digest(), createHash("sha256").update(file).digest("hex"))
          const again = yield* publish()
          assert.strictEqual(yield* again.code, 0, again.stderr)
          assert.match(again.text, /published 0 records .*; skipped 12,001 records that "import" had committed before/)
        }).pipe(Effect.scoped, attached(region))
        server.signal("SIGTERM")
        yield* server.ended
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    90_000
  )

  it.live("standard input is continued too; doctor lists the identities; a shorter input is refused", () =>
    Effect.gen(function*() {
      const region = freshRegion("stdin")
      yield* serve(region, "--topic", "lines")
      const publish = (input: string, ...flags: ReadonlyArray<string>) =>
        run(["publish", "--region", region, "lines", "--identity", "tail", ...flags, "-"], { input })
      assert.strictEqual((yield* publish("a\nb\n")).code, 0)
      const second = yield* publish("a\nb\nc\nd")
      assert.strictEqual(second.code, 0, second.stderr)
      assert.include(second.stderr, "skips 2 records of the input, which \"tail\" has committed before")
      assert.include(second.text, "published 2 records (2 bytes)")
      const read = yield* run(["subscribe", "--region", region, "lines", "--count", "4"])
      assert.strictEqual(read.text, "a\nb\nc\nd\n")
      const [found, ...others] = yield* identities(region)
      assert.deepStrictEqual([found, others], [{ name: "tail", topic: "lines", incarnation: 2, committed: 4 }, []])
      const { text } = yield* run(["doctor", "--region", region])
      assert.include(
        text,
        `${region}: identity "tail" of topic "lines": 4 records committed in 2 sessions; no session has it`
      )
      const short = yield* publish("a\n", "--json")
      assert.strictEqual(short.code, 2)
      const { error } = JSON.parse(short.stderr.trim().split("\n").at(-1) ?? "")
      assert.strictEqual(error._tag, "InputTooShort")
    }).pipe(Effect.scoped))

  it.live("a second publish with the identity takes it, and the first ends with exit code 5", () =>
    Effect.gen(function*() {
      const region = freshRegion("taken")
      yield* serve(region, "--topic", "lines")
      const args = ["publish", "--region", region, "lines", "--identity", "one", "-"]
      const first = yield* start(args)
      first.write("a\nb\n")
      const held = (count: number) =>
        Effect.gen(function*() {
          for (;;) {
            const [found] = yield* identities(region)
            if (found?.committed === count) return found
          }
        })
      const { sessionId } = yield* held(2)
      assert.isNumber(sessionId)
      const second: Program = yield* start(args)
      second.endInput("a\nb\nc\n")
      assert.strictEqual(yield* second.code, 0, second.stderr)
      first.write("late\n")
      first.endInput()
      assert.strictEqual(yield* first.code, 5)
      assert.match(first.stderr, /topic "lines": a newer publisher has the identity "one"; 2 records of this one are/)
      yield* held(3)
    }).pipe(Effect.scoped))

  it.live("an identity is refused where it cannot be kept", () =>
    Effect.gen(function*() {
      const region = freshRegion("refused")
      yield* serve(region, "--topic", "any:total", "--lease", "2s")
      const wrong = yield* run(["publish", "--region", region, "any", "--identity", "x", "-"])
      assert.strictEqual(wrong.code, 2)
      assert.match(wrong.stderr, /identity cannot be "x" \(it must be given for a topic of order "session" only/)
      const name = yield* run(["publish", "--region", region, "lines", "--identity", "a b", "-"])
      assert.strictEqual(name.code, 2)
      assert.match(name.stderr, /the name is not usable: 1 to 64 letters/)
    }).pipe(Effect.scoped))
})
