/**
 * Reads `manifest.json`, and writes it so that a crash leaves the old one or the new one.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Disk, DiskError } from "../ports/Disk.ts"
import { ReplicaDamaged, type ReplicaReadError } from "./ReplicaError.ts"
import { Manifest } from "./ReplicaManifest.ts"
import { join, manifestName } from "./segment/names.ts"

/** `undefined` when the directory has none, or does not exist. */
export const readManifest = (disk: Disk, dir: string): Effect.Effect<Manifest | undefined, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const path = join(dir, manifestName)
    const file = yield* disk.open(path, "read")
    const bytes = new Uint8Array(yield* file.size)
    yield* file.read(0, bytes)
    const manifest = Option.getOrUndefined(decode(new TextDecoder().decode(bytes)))
    return manifest ?? (yield* new ReplicaDamaged({
      file: path,
      offset: 0,
      detail: "it is not a manifest of this version",
      nextStep: "restore a copy of the file, or move the directory aside: the replica then begins again"
    }))
  })).pipe(
    Effect.catchIf((error) => error._tag === "DiskError" && error.code === "ENOENT", () => Effect.succeed(undefined))
  )

export const writeManifest = (disk: Disk, dir: string, manifest: Manifest): Effect.Effect<void, DiskError> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const unfinished = join(dir, `${manifestName}.creating`)
    yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* disk.open(unfinished, "create")
      yield* file.write(0, [new TextEncoder().encode(`${JSON.stringify(manifest, undefined, 2)}\n`)])
      yield* file.sync
    }))
    yield* disk.rename(unfinished, join(dir, manifestName))
    yield* disk.syncDirectory(dir)
  }))

// --- internal ---

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Manifest))
