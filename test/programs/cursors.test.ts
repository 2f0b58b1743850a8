/**
 * `ringfence subscribe --cursor`: one that is killed is continued by the next one, also after the server was, and after its
 * memory was.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { filesOf, folder, freshRegion, type Program, removeRegion, run, serve, start } from "./harness.ts"

const linesOf = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`).join("")

const publish = (region: string, path: string, from: number, to: number, ...flags: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    writeFileSync(path, linesOf(from, to))
    const { code, stderr } = yield* run(["publish", "--region", region, "orders", ...flags, path])
    assert.strictEqual(code, 0, stderr)
  })

const billing = (region: string, ...flags: ReadonlyArray<string>) =>
  run(["subscribe", "--region", region, "orders", "--cursor", "billing", ...flags])

const following = (region: string, ...flags: ReadonlyArray<string>) =>
  start(["subscribe", "--region", region, "orders", "--cursor", "billing", "--follow", ...flags])

const kill = (program: Program) => {
  program.signal("SIGKILL")
  return program.ended
}

const cursors = (region: string) =>
  Effect.map(run(["doctor", "--region", region, "--json"]), ({ text }) => JSON.parse(text).regions[0].log.cursors)

describe.skipIf(process.platform !== "linux")("subscribe --cursor", () => {
  it.live(
    "goes on behind what was written; a second one waits until the first is dead, and a stopped one is taken over from",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("cursor")
        const server = yield* serve(region, "--topic", "orders")
        const input = join(yield* folder, "input")
        yield* publish(region, input, 0, 100)
        const first = yield* billing(region, "--count", "30")
        assert.deepStrictEqual([first.code, first.text], [0, linesOf(0, 30)], first.stderr)
        const holder = yield* following(region)
        yield* holder.told(/line 99\n$/)
        const next = yield* following(region)
        yield* next.noticed(/cursor "billing" is held by process "subscribe" \(pid \d+\): waiting/)
        yield* publish(region, input, 100, 120)
        yield* holder.told(/line 119\n$/)
        assert.strictEqual(holder.text, linesOf(30, 120))
        yield* kill(holder)
        yield* publish(region, input, 120, 150)
        // What the killed one had written and not committed comes again; nothing is left out.
        yield* next.told(/line 149\n$/)
        assert.isTrue(linesOf(100, 150).endsWith(next.text) && next.text.endsWith(linesOf(120, 150)), next.text)
        next.signal("SIGSTOP")
        const third = yield* following(region, "--take-over")
        yield* publish(region, input, 150, 160)
        yield* third.told(/line 159\n$/)
        assert.isTrue(linesOf(100, 160).endsWith(third.text), third.text)
        next.signal("SIGCONT")
        assert.strictEqual(yield* next.code, 5, next.stderr)
        assert.match(next.stderr, /has taken cursor "billing", so position \d+ was not committed; the cursor is at 160/)
        assert.strictEqual((yield* cursors(region))[0].position, 160)
        const { text } = yield* run(["doctor", "--region", region])
        assert.match(text, /cursor "billing" of topic "orders" is at 160; "subscribe" \(pid \d+\) holds it/)
        third.signal("SIGINT")
        yield* third.ended
        server.signal("SIGTERM")
        yield* server.ended
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    90_000
  )

  it.live(
    "a server killed with its memory: serve --restore goes on with the cursor",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("cursor-restored")
        const place = yield* folder
        const [replica, input] = [join(place, "replica"), join(place, "input")]
        const durable = ["--replica", replica]
        const first = yield* serve(region, "--topic", "orders:session:durable", ...durable)
        yield* publish(region, input, 0, 100, "--ack", "durable")
        const read = yield* billing(region, "--count", "40", "--json")
        assert.deepStrictEqual([read.code, read.text], [0, linesOf(0, 40)], read.stderr)
        assert.include(JSON.parse(read.stderr), { cursor: "billing", committed: 40 })
        yield* kill(first)
        removeRegion(region)
        const second = yield* serve(region, "--restore", replica)
        yield* second.told(/1 cursor/)
        yield* publish(region, input, 100, 130, "--ack", "durable")
        const rest = yield* billing(region, "--history", replica)
        assert.deepStrictEqual([rest.code, rest.text], [0, linesOf(40, 130)], rest.stderr)
        second.signal("SIGTERM")
        yield* second.ended
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    90_000
  )
})
