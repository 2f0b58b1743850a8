/**
 * The demonstration with replicas: every record is verified from the files too, also when the process that writes them is
 * killed on the way. Its temporary folder goes with it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { readdirSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { childrenOf, filesOf, folder, isAlive, run, start, untilTrue } from "./harness.ts"

interface Report {
  readonly passed: boolean
  readonly ack: string
  readonly records: number
  readonly bytes: number
  readonly checks: ReadonlyArray<{ readonly name: string; readonly holds: boolean; readonly detail: string }>
  readonly killed: {
    readonly name: string
    readonly acknowledged: number
    readonly pauseMillis: number
    readonly orderedMeanwhile: number
  }
  readonly sessions: ReadonlyArray<{ readonly sessionId: number; readonly mac: string }>
  readonly wholeOrder: ReadonlyArray<{ readonly mac: string }>
  readonly replicas: ReadonlyArray<{
    readonly replica: string
    readonly records: number
    readonly bytes: number
    readonly fileBytes: number
    readonly damaged: number
    readonly mac: string
    readonly sessions: ReadonlyArray<{ readonly sessionId: number; readonly mac: string }>
  }>
}

const patience = "60 seconds"
const minute = 60_000

const durable = ["--replicas", "2", "--ack", "durable"]

/** A folder for temporary files alone, and a file to publish. */
const places = Effect.gen(function*() {
  const [temporary, file] = [yield* folder, join(yield* folder, "input")]
  writeFileSync(file, randomBytes(3_000_000))
  return { temporary, file, env: { TMPDIR: temporary } }
})

/** A run that is still busy long after its children have started. */
const longRun = (env: Readonly<Record<string, string>>, file: string) =>
  Effect.gen(function*() {
    const program = yield* start(["demo", file, "--min-bytes", "512MiB", ...durable], { env })
    const replicas = () => childrenOf(program.pid).filter(({ command }) => command.includes("log-trial/replica"))
    yield* untilTrue("all children at work", () => replicas().length === 2 && childrenOf(program.pid).length === 6)
    return program
  })

describe.skipIf(process.platform !== "linux")("demo --replicas", () => {
  it.live.each(["replica@30%", "sequencer@50%"])(
    "E13 under load, %s: every byte is verified from memory and from the files of both",
    (what) =>
      Effect.gen(function*() {
        const { env, file, temporary } = yield* places
        const { code, stderr, text } = yield* run(["demo", file, ...durable, "--kill", what, "--json"], {
          env,
          patience
        })
        assert.strictEqual(code, 0, stderr)
        const { ack, bytes, checks, killed, passed, records, replicas, sessions, wholeOrder } = JSON.parse(
          text
        ) as Report
        assert.deepStrictEqual({ passed, ack, bytes }, { passed: true, ack: "durable", bytes: 3_000_000 })
        assert.strictEqual(killed.name, what.startsWith("replica") ? "replica-0" : "server-0")
        assert.isAtLeast(killed.acknowledged, Math.floor(records * Number.parseFloat(what.split("@")[1] ?? "") / 100))
        assert.isBelow(killed.acknowledged, records)
        assert.isAbove(killed.pauseMillis, 0)
        assert.isAbove(killed.orderedMeanwhile, 0)
        const order = (list: Report["sessions"]) => list.map(({ mac, sessionId }) => `${sessionId} ${mac}`).toSorted()
        for (const [i, found] of replicas.entries()) {
          assert.deepInclude(found, { replica: `replica-${i}`, records, bytes, damaged: 0 })
          assert.deepStrictEqual(wholeOrder.map(({ mac }) => mac), [found.mac, found.mac])
          assert.deepStrictEqual(order(found.sessions), order(sessions))
          assert.isAbove(found.fileBytes, bytes)
        }
        assert.strictEqual(replicas.length, 2)
        assert.match(stderr, /replicas 2 processes in a folder of .* that is removed at the end/)
        assert.strictEqual(checks.filter(({ name }) => name.startsWith("the files of ")).length, 6)
        const detailOf = (wanted: string) => checks.find(({ name }) => name === wanted)?.detail ?? ""
        assert.match(detailOf("what is acknowledged is on the disks of all replicas"), /durable, on 2 of 2 replicas$/)
        assert.match(
          detailOf("the log goes on after the kill"),
          /was killed with [\d.]+ % acknowledged, .* came after [\d.]+ m?s; [\d,]+ records came into the order meanwhile$/
        )
        assert.deepStrictEqual(readdirSync(temporary), [])
      }).pipe(Effect.scoped),
    minute
  )

  it.live("refuses what it cannot show, and says what to add", () =>
    Effect.gen(function*() {
      const refusals = [
        [["--ack", "durable"], /--ack durable: .* add --replicas 2/],
        [["--replicas", "2"], /--replicas: .* add --ack durable/],
        [["--kill", "replica@30%"], /--kill replica: .* add --replicas 2 --ack durable/],
        [["--replicas", "17", "--ack", "durable"], /17 is not between 0 and 16/],
        [["--min-bytes", "1PiB", ...durable], /--replicas: the files take .* set TMPDIR/]
      ] as const
      for (const [args, wanted] of refusals) {
        const refused = yield* run(["demo", ...args])
        assert.strictEqual(refused.code, 2, refused.stderr)
        assert.match(refused.stderr, wanted)
      }
    }), minute)

  it.live("interrupted, it takes the processes and the files with it", () =>
    Effect.gen(function*() {
      const { env, file, temporary } = yield* places
      const program = yield* longRun(env, file)
      assert.strictEqual(readdirSync(temporary).length, 1)
      const children = childrenOf(program.pid)
      program.signal("SIGINT")
      assert.strictEqual(yield* program.code, 130, program.stderr)
      yield* untilTrue("the children's end", () => children.every(({ pid }) => !isAlive(pid)))
      assert.deepStrictEqual(readdirSync(temporary), [])
      assert.deepStrictEqual(filesOf(`demo-${program.pid}`), [])
    }).pipe(Effect.scoped), minute)

  it.live(
    "a replica that dies unasked is named; the files that a killed run left go with the next one",
    () =>
      Effect.gen(function*() {
        const { env, file, temporary } = yield* places
        const program = yield* longRun(env, file)
        const victim = childrenOf(program.pid).find(({ command }) => command.includes("replica-1"))
        process.kill(victim?.pid ?? 0, "SIGKILL")
        assert.strictEqual(yield* program.code, 1)
        assert.include(program.stderr, `replica-1 (pid ${victim?.pid}) died: killed by SIGKILL`)
        assert.deepStrictEqual(readdirSync(temporary), [])
        const killed = yield* longRun(env, file)
        const children = childrenOf(killed.pid)
        killed.signal("SIGKILL")
        yield* killed.ended
        yield* untilTrue("the children's end", () => children.every(({ pid }) => !isAlive(pid)))
        const [left = ""] = readdirSync(temporary)
        const hourAgo = new Date(Date.now() - 3_600_000)
        utimesSync(join(temporary, left), hourAgo, hourAgo)
        const next = yield* run(["demo", file, "--publishers", "1", "--subscribers", "1"], { env, patience })
        assert.strictEqual(next.code, 0, next.stderr)
        assert.deepStrictEqual(readdirSync(temporary), [])
      }).pipe(Effect.scoped),
    minute
  )
})
