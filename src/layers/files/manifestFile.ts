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
import { readWhole, writeWhole } from "./wholeFile.ts"

/** `undefined` when the directory has none, or does not exist. */
export const readManifest = (disk: Disk, dir: string): Effect.Effect<Manifest | undefined, ReplicaReadError> =>
  Effect.gen(function*() {
    const path = join(dir, manifestName)
    const text = yield* readWhole(disk, path)
    if (text === undefined) return undefined
    const manifest = Option.getOrUndefined(decode(text))
    return manifest ?? (yield* new ReplicaDamaged({
      file: path,
      offset: 0,
      detail: "it is not a manifest of this version",
      nextStep: "restore a copy of the file, or move the directory aside: the replica then begins again"
    }))
  })

export const writeManifest = (disk: Disk, dir: string, manifest: Manifest): Effect.Effect<void, DiskError> =>
  writeWhole(disk, dir, manifestName, manifest)

// --- internal ---

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Manifest))
