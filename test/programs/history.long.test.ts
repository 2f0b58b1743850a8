/**
 * A log that is ten times its memory: written, and read from its start, in bounded memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { createReadStream, openSync, readFileSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { filesOf, folder, freshRegion, serve, start, untilTrue } from "./harness.ts"

const patience = "120 seconds"
const mebibyte = 1024 * 1024

/** Writes a file whose pieces differ, and returns its digest. */
const writeInput = (path: string, bytes: number): string => {
  const hash = createHash("sha256")
  const fd = openSync(path, "w")
  for (let i = 0; i < bytes / mebibyte; i += 1) {
    const piece = Buffer.alloc(mebibyte, `piece ${i} of a large input;`)
    hash.update(piece)
    writeSync(fd, piece)
  }
  return hash.digest("hex")
}

const digestOf = (path: string) =>
  Effect.promise(async () => {
    const hash = createHash("sha256")
    await pipeline(createReadStream(path), hash)
    return hash.digest("hex")
  })

/** Memory of the process that is its own, in bytes. */
const ownBytes = (pid: number): number => {
  try {
    const [, kib = "0"] = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
    return Number(kib) * 1024
  } catch {
    return 0
  }
}

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

describe.skipIf(process.platform !== "linux")("history", () => {
  it.live(
    "a log ten times its memory is read from the start, byte for byte, in bounded memory",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("history")
        const place = yield* folder
        const [replica, input, output] = [join(place, "replica"), join(place, "input"), join(place, "output")]
        const sizes = ["--topics", "4", "--index-entries", "1024", "--lane-slots", "256"]
        const server = yield* serve(region, "--topic", "files:session:durable", "--replica", replica, ...sizes)
        const bytes = Math.max(
          256 * mebibyte,
          10 * Math.ceil(statSync(`/dev/shm/ringfence-${region}`).size / mebibyte) * mebibyte
        )
        const digest = writeInput(input, bytes)
        const publisher = yield* start(
          ["publish", "--region", region, "files", "--record-bytes", "16000", "--deadline", "100s", input],
          { patience, input: "" }
        )
        assert.strictEqual(yield* publisher.code, 0, publisher.stderr)
        const reader = yield* start(
          ["subscribe", "--region", region, "files", "--raw", "--from", "start", "--history", replica],
          { patience, input: "", output }
        )
        yield* untilTrue("a tenth of the output", () => sizeOf(output) >= bytes / 10)
        const atFirst = ownBytes(reader.pid)
        let most = 0
        const watching = yield* Effect.forkChild(Effect.forever(Effect.gen(function*() {
          most = Math.max(most, ownBytes(reader.pid))
          yield* Effect.sleep(20)
        })))
        assert.strictEqual(yield* reader.code, 0, reader.stderr)
        watching.interruptUnsafe()
        assert.strictEqual(sizeOf(output), bytes)
        assert.strictEqual(yield* digestOf(output), digest)
        assert.isBelow(most - atFirst, bytes / 2, `${most} bytes of own memory, ${atFirst} after a tenth of the log`)
        server.signal("SIGTERM")
        assert.strictEqual(yield* server.code, 0, server.stderr)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    300_000
  )
})
