/**
 * Small files that are written as a whole, so that a crash leaves the old one or the new one.
 */
import * as Effect from "effect/Effect"
import type { Disk, DiskError } from "../ports/Disk.ts"
import { creatingEnding, join } from "./segment/names.ts"

/** Its text; `undefined` when there is no such file, or no such directory. */
export const readWhole = (disk: Disk, path: string): Effect.Effect<string | undefined, DiskError> =>
  Effect.scoped(Effect.gen(function*() {
    const file = yield* disk.open(path, "read")
    const bytes = new Uint8Array(yield* file.size)
    yield* file.read(0, bytes)
    return new TextDecoder().decode(bytes)
  })).pipe(Effect.catchIf(({ code }) => code === "ENOENT", () => Effect.succeed(undefined)))

export const writeWhole = (disk: Disk, dir: string, name: string, value: unknown): Effect.Effect<void, DiskError> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const unfinished = join(dir, `${name}${creatingEnding}`)
    yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* disk.open(unfinished, "create")
      yield* file.write(0, [new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`)])
      yield* file.sync
    }))
    yield* disk.rename(unfinished, join(dir, name))
    yield* disk.syncDirectory(dir)
  }))
