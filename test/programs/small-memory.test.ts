/**
 * A container's `/dev/shm` has 64 MiB: what fits there by default, and in 8 MiB. Each run has a mount of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type NotSeen, Program, ringfence } from "./harness.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Mounts a `/dev/shm` of that size in a mount namespace of its own, and runs the command there. */
const inNamespace = (size: string, command: ReadonlyArray<string>): ReadonlyArray<string> => {
  const mounted = `mount -t tmpfs -o size=${size} tmpfs /dev/shm && exec "$@"`
  return ["unshare", "--mount", "sh", "-c", mounted, "sh", ...command]
}

const possible = (() => {
  try {
    const [command = "", ...args] = inNamespace("1m", ["true"])
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

const runIn = (size: string, ...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const program = yield* startIn(size, ...args)
    return { code: yield* program.code, text: program.text, stderr: program.stderr }
  }))

const startIn = (size: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [command = "", ...rest] = inNamespace(size, [process.execPath, ...args])
      return new Program(spawn(command, rest, { cwd: root }), "60 seconds")
    }),
    (program) => {
      program.signal("SIGKILL")
      return Effect.ignore(program.ended)
    }
  )

/** Runs it until it has printed this, and returns its standard error. */
const untilTold = (size: string, line: RegExp, ...args: ReadonlyArray<string>): Effect.Effect<string, NotSeen> =>
  Effect.scoped(Effect.gen(function*() {
    const program = yield* startIn(size, ringfence, ...args)
    yield* program.told(line)
    program.signal("SIGTERM")
    assert.strictEqual(yield* program.code, 0)
    return program.stderr
  }))

/** The application of the README, verbatim, in a folder where `ringfence` resolves to the built package. */
const application = (): string => {
  const folder = join(root, "build/small-memory")
  mkdirSync(folder, { recursive: true })
  const [, code = ""] = /^```ts run\n(.*?)^```/ms.exec(readFileSync(join(root, "README.md"), "utf8")) ?? []
  writeFileSync(join(folder, "application.ts"), code)
  return join(folder, "application.ts")
}

describe.skipIf(!possible)("in a container's shared memory (needs a mount namespace)", () => {
  for (const size of ["64m", "8m"]) {
    it.live(`npm start: every check of the demonstration passes in ${size}`, () =>
      Effect.gen(function*() {
        const { code, stderr, text } = yield* runIn(size, ringfence, "demo")
        assert.strictEqual(code, 0, `${text}${stderr}`)
        assert.match(text, /^✓ everything is delivered/m)
        assert.notMatch(text, /✗/)
      }), 90_000)

    it.live(`the application of the README runs in ${size}, and says what is smaller`, () =>
      Effect.gen(function*() {
        const { code, stderr, text } = yield* runIn(size, application())
        assert.strictEqual(code, 0, stderr)
        assert.include(text, "0: 100 × ABC")
        assert.include(text, "1: 7 × XYZ")
        assert.match(text, /region "shop" is smaller than usual: .*laneBytes \d+ KiB instead of 8 MiB/)
      }))

    it.live(`serve and a swarm's coordinator start in ${size}, and say what is smaller`, () =>
      Effect.gen(function*() {
        const served = yield* untilTold(size, /serving region "default": [\d.]+ MiB/, "serve")
        assert.match(served, /^region "default" is smaller than usual: .* it takes [\d.]+ MiB of the \d+ MiB/m)
        const swarm = yield* untilTold(size, /coordinates region "default"/, "swarm", "--coordinator")
        if (size === "8m") assert.match(swarm, /smaller than usual: ringBytes 64 KiB instead of 512 KiB/)
        else assert.strictEqual(swarm, "")
      }))
  }

  it.live("sizes that were asked for are not changed: the error names what takes the room, and what helps", () =>
    Effect.gen(function*() {
      const lanes = yield* runIn("64m", ringfence, "serve", "--lane-bytes", "8MiB")
      assert.strictEqual(lanes.code, 3)
      assert.match(lanes.stderr, /it takes [\d.]+ MiB, 64 MiB are free .*--brokers or --clients or --lane-bytes\)/)
      const index = yield* runIn("8m", ringfence, "serve", "--index-entries", "65536")
      assert.match(index.stderr, /--topics or --index-entries\)/)
      const rings = yield* runIn("8m", ringfence, "swarm", "--coordinator", "--ring-bytes", "1MiB")
      assert.match(rings.stderr, /--members or --ring-bytes\)/)
      assert.strictEqual(`${lanes.text}${index.text}${rings.text}`, "")
      const helped = ["--brokers", "1", "--clients", "2"]
      yield* untilTold("64m", /2 sessions with lanes of 8 MiB/, "serve", "--lane-bytes", "8MiB", ...helped)
    }))
})
