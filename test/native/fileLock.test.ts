/**
 * Locks of files by the system: one that a process holds ends when it is killed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll } from "vitest"
import { nativeFileLock } from "../../src/layers/native/region/FileLock.ts"
import { fileLockSuite } from "../suites/files/fileLock.ts"

const folder = mkdtempSync(join(tmpdir(), "ringfence-locks-"))
afterAll(() => rmSync(folder, { recursive: true }))

const at = (file: string): string => join(folder, file)

fileLockSuite("native", nativeFileLock, at)

const actor = resolve(import.meta.dirname, "../processes/fileLockActor.ts")

describe("the lock of a file of another process", () => {
  it.live(
    "names the holder, and ends when that is killed; the file stays, for its owner alone",
    () =>
      Effect.gen(function*() {
        const path = at("killed")
        const child = spawn(process.execPath, [actor, path], { stdio: ["ignore", "pipe", "inherit"] })
        yield* Effect.promise(() => once(child.stdout, "data"))
        const busy = yield* Effect.flip(Effect.scoped(nativeFileLock.lock(path)))
        assert.isTrue(busy._tag === "FileLockBusy" && busy.pid === child.pid, busy.message)
        const exited = once(child, "exit")
        child.kill("SIGKILL")
        yield* Effect.promise(() => exited)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* nativeFileLock.lock(path)
          assert.strictEqual(readFileSync(path, "utf8"), `${process.pid}\n`)
        }))
        assert.isTrue(existsSync(path))
        assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      }),
    60_000
  )

  it.live("a file that cannot be opened is an error of the disk", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(Effect.scoped(nativeFileLock.lock(at("no/such/folder"))))
      assert.isTrue(missing._tag === "DiskError" && missing.code === "ENOENT", missing.message)
      symlinkSync(at("elsewhere"), at("link"))
      const link = yield* Effect.flip(Effect.scoped(nativeFileLock.lock(at("link"))))
      assert.isTrue(link._tag === "DiskError" && link.code === "ELOOP", link.message)
    }))
})
