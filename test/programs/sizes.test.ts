/**
 * The sizes of a server's region: those that are set, and those that follow the free space.
 */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { folder, freshRegion, removeRegion, start } from "./harness.ts"

describe.skipIf(process.platform !== "linux")("sizes", () => {
  it.live("are kept where they were asked for, and the others follow", () =>
    Effect.gen(function*() {
      const region = freshRegion("sizes")
      yield* Effect.addFinalizer(() => Effect.sync(() => removeRegion(region)))
      const one = ["serve", "--region", region, "--brokers", "1", "--clients", "1"]
      const large = yield* start([...one, "--batch-bytes", "2MiB"])
      yield* large.told(/1 session with lanes of 16 MiB, records up to 2 MiB;/)
      large.signal("SIGINT")
      yield* large.ended
      const small = yield* start([...one, "--lane-bytes", "256KiB"])
      yield* small.told(/1 session with lanes of 256 KiB, records up to 32 KiB;/)
    }).pipe(Effect.scoped))

  it.live.skipIf(process.getuid?.() !== 0)(
    "are reduced to what there is room for, and that is said",
    () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* Effect.acquireRelease(
          Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", path])),
          () => Effect.sync(() => execFileSync("umount", ["--lazy", path]))
        )
        const few = ["--brokers", "2", "--clients", "2", "--index-entries", "128", "--lane-slots", "64"]
        const server = yield* start(["serve", "--path", join(path, "region"), ...few])
        yield* server.told(/2 sessions with lanes of 2 MiB, records up to 256 KiB;/)
        yield* server.noticed(
          /^region ".*" is smaller than usual: laneBytes 2 MiB instead of 8 MiB; it takes [\d.]+ MiB of the 32 MiB that are /m
        )
      }).pipe(Effect.scoped)
  )
})
